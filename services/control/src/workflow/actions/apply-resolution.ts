import { Code, ConnectError } from "@connectrpc/connect";
import type { PatchCourier, Resolution } from "@sluice/api/control/v1/action_pb";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import type { ResolveActionRequest } from "@sluice/api/control/v1/workflow_service_pb";
import { readCourier } from "../../couriers/courier-rows.ts";
import type { Change } from "../change.ts";
import type { EngineContext } from "../context.ts";
import { unpublishedFeeds } from "../effects.ts";
import { failureFromJson, isOfBytes } from "../failure.ts";
import { type Plan, planToJson } from "../plan.ts";
import { withOptionalEntries } from "./courier-proposals.ts";
import { isSameObject, type OpenFailure, openFailures } from "./open-failures.ts";
import { patchCourier } from "./patch-courier.ts";
import type { Prepared } from "./prepare-resolution.ts";
import { refreshPlan } from "./refresh-plan.ts";
import { attachReplacement, repin } from "./replace-object.ts";
import { beginAnew, leaveOut, runAgain } from "./resume.ts";
import type { Situation } from "./situation.ts";

/** What is asked for. */
export interface Asked {
  readonly request: ResolveActionRequest;
  readonly resolution: Resolution;
  readonly situation: Situation;
}

/** What a resolution did. */
export interface Applied {
  /** The actions that it resolved, by their ids. */
  readonly resolved: readonly string[];
  /** Feeds that are published at once. */
  readonly publishFirst?: readonly string[];
}

/** Changes the workflow's plan and tasks as a resolution says; the caller lets it go on. */
export async function applyResolution(
  context: EngineContext,
  change: Change,
  asked: Asked,
  prepared: Prepared,
): Promise<Applied> {
  const { request, resolution, situation } = asked;
  const { plan, action, task } = situation;
  const open = await openFailures(change.trx, action);
  const [own] = open;
  if (own === undefined) throw new Error("an open action is not among the open ones");
  const ofObject = open.filter((other) => other === own || isSameObject(own, other));
  const ofKind = open.filter(
    (other) => other.action.kind === action.kind || ofObject.includes(other),
  );
  const { how } = resolution;
  switch (how.case) {
    case "retryTask":
      return await again(change, ofObject, prepared);
    case "attachObject":
      await attachReplacement(change, own, request, prepared);
      return { resolved: ids(ofObject) };
    case "patchCourier":
    case "archiveToFile":
    case "makeEntryOptional":
      await goOnWithCourier(context, change, asked, how.value);
      return await again(change, ofKind, prepared);
    case "updateCredential":
      return await again(change, ofKind, prepared);
    case "raiseThresholdOnce": {
      const { feedId, leastPercent } = how.value;
      const { input } = request;
      const percent = input.case === "errorThresholdPercent" ? input.value : leastPercent;
      change.set.plan = planToJson(withThreshold(plan, feedId, percent));
      return await again(change, [own], prepared);
    }
    case "ignoreMissingOnce": {
      if (own.object === undefined) change.set.skipMissingFiles = true;
      else {
        const { file_tag: fileTag } = own.object;
        const courier = withOptionalEntries(plan.courier, fileTag, situation.failure);
        if (courier !== undefined) change.set.plan = planToJson({ ...plan, courier });
      }
      return await again(change, ofObject, prepared);
    }
    case "skipTask":
      await beginAnew(change, [task]);
      await change.trx
        .updateTable("task")
        .set({ is_skipped: true })
        .where("tenant", "=", change.tenant)
        .where("id", "=", task.id)
        .execute();
      change.set.warnings.push(`${task.key} was left out: somebody decided to go on without it.`);
      return await again(change, [own], prepared);
    case "excludeFeeds": {
      const { input } = request;
      const feedIds = input.case === "feeds" ? input.value.feedIds : how.value.feedIds;
      return await excludeFeeds(change, situation, feedIds, open);
    }
    case "retryFailedFeeds": {
      const whole = situation.feeds.filter(({ unfinished }) => unfinished === 0);
      const unpublished = new Set(await unpublishedFeeds(change));
      const applied = await again(change, open, prepared);
      const publishFirst = whole.flatMap(({ feedId }) => (unpublished.has(feedId) ? [feedId] : []));
      return { ...applied, publishFirst };
    }
    default:
      throw new Error(`resolution ${resolution.id} is not one that goes on`);
  }
}

const ids = (failures: readonly OpenFailure[]): string[] => failures.map(({ action }) => action.id);

/** Tries what failed again; an object that was replaced in the bucket is loaded from its start, into every feed. */
async function again(
  change: Change,
  failures: readonly OpenFailure[],
  { pins }: Prepared,
): Promise<Applied> {
  await forgetDoubtful(change, failures);
  const repinned = new Set<string>();
  for (const { object } of failures) {
    if (object === undefined) continue;
    const place = `${object.page}/${object.position}`;
    if (repinned.has(place)) continue;
    repinned.add(place);
    await repin(change, object, pins);
  }
  for (const { task } of failures) await runAgain(change, task);
  return { resolved: ids(failures) };
}

/** Loads that failed for their bytes begin at the start: what they staged before may be of other bytes than come now. */
async function forgetDoubtful(change: Change, failures: readonly OpenFailure[]): Promise<void> {
  const doubtful = failures.filter(
    ({ task, action }) => task.kind === "load" && isOfBytes(failureFromJson(action.failure)),
  );
  if (doubtful.length === 0) return;
  // As they are by now: a change of the courier may have had them begin anew already.
  const tasks = await change.trx
    .selectFrom("task")
    .selectAll()
    .where("tenant", "=", change.tenant)
    .where(
      "id",
      "in",
      doubtful.map(({ task }) => task.id),
    )
    // Of one that is left out what it staged goes anyway.
    .where("is_skipped", "=", false)
    .execute();
  await beginAnew(change, tasks);
}

/** Changes the courier, and takes it over into the plan. */
async function goOnWithCourier(
  context: EngineContext,
  change: Change,
  { request, situation }: Asked,
  proposed: PatchCourier,
): Promise<void> {
  await patchCourier(context, change.trx, request, proposed);
  const courier: Courier = await readCourier(change.trx, change.tenant, proposed.courierId);
  await refreshPlan(change, situation.plan, courier);
}

function withThreshold(plan: Plan, feedId: string, percent: number): Plan {
  return {
    ...plan,
    feeds: plan.feeds.map((feed) =>
      feed.feedId === feedId && feed.spec !== undefined
        ? { ...feed, spec: { ...feed.spec, errorThresholdPercent: percent } }
        : feed,
    ),
  };
}

async function excludeFeeds(
  change: Change,
  { feeds }: Situation,
  feedIds: readonly string[],
  open: readonly OpenFailure[],
): Promise<Applied> {
  const known = new Set(feeds.map(({ feedId }) => feedId));
  const unknown = feedIds.find((feedId) => !known.has(feedId));
  if (unknown !== undefined) {
    throw new ConnectError(
      `feeds: the workflow loads nothing into ${unknown}`,
      Code.FailedPrecondition,
    );
  }
  if (known.size === new Set(feedIds).size) {
    throw new ConnectError("feeds: no feed would be left", Code.FailedPrecondition);
  }
  await leaveOut(change, feedIds);
  for (const feedId of feedIds) {
    change.set.warnings.push(`Feed ${feedId} was left out: somebody decided to go on without it.`);
  }
  return { resolved: ids(open.filter(({ task }) => feedIds.includes(task.feed_id ?? ""))) };
}
