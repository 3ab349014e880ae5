import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import { type Kysely, sql } from "kysely";
import { feedIdOf } from "../couriers/courier-feeds.ts";
import type { Schema, TaskVariant } from "../database/schema.ts";
import { makeId } from "../resources/identity.ts";
import { closeActions, insertAction } from "./actions/action-rows.ts";
import type { Change } from "./change.ts";
import type { TaskRow } from "./context.ts";
import { type FoundFiles, warnOfSameContent, warnOfUnloaded } from "./file-warnings.ts";
import { changeKindOf } from "./load-records.ts";
import { forgetLoadedFiles, recordLoadedFiles } from "./loaded-files.ts";
import { feedOf, fileTagsOfFeed, type Plan, planFromJson, queryOf } from "./plan.ts";
import type { Effect } from "./state-machine.ts";
import { inUnits, UNIT, UNIT_TASKS, unitTags } from "./unit-borders.ts";

/** Writes what an event entails, in the event's own transaction. */
export async function applyEffects(
  change: Change,
  task: TaskRow | undefined,
  effects: readonly Effect[],
  failure: StageFailure | undefined,
): Promise<void> {
  for (const effect of effects) {
    switch (effect.type) {
      case "makeLoads":
        await makeLoads(change);
        break;
      case "makePublishes":
        await makePublishes(change, await unpublishedFeeds(change));
        break;
      case "makeDiscard":
        await insertTasks(change, [{ kind: "discard", feedId: null }]);
        break;
      case "cancelUntouched":
        await cancelUntouched(change);
        break;
      case "delay":
        if (task !== undefined) await delay(change, task, effect.delayMs);
        break;
      case "recordFailure":
        if (failure === undefined) break;
        change.set.failure ??= failure;
        if (task !== undefined) await insertAction(change, task, failure);
        // The rows may be visible or not: what the table holds is not known any more.
        if (task?.kind === "publish" && task.feed_id !== null) {
          await forgetLoadedFiles(change.trx, change.tenant, task.feed_id);
        }
        break;
      case "closeActions":
        await closeActions(change);
        break;
      case "recordLoad":
        if (task !== undefined) await recordLoad(change, task);
        break;
    }
  }
}

/** How many loads the frozen manifest makes for each feed, and how many files are passed over. */
export async function countLoads(
  change: Change,
  plan: Plan,
): Promise<ReadonlyMap<string, FoundFiles>> {
  const found = await change.trx
    .selectFrom("manifest_object")
    .select(["file_tag", sql<number>`count(*)::bigint`.as("objects")])
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .groupBy("file_tag")
    .execute();
  const passedOver = await change.trx
    .selectFrom("unchanged_object")
    .select(["feed_id", sql<number>`count(*)::bigint`.as("objects")])
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .groupBy("feed_id")
    .execute();
  const byTag = new Map(found.map((row) => [row.file_tag, row.objects]));
  const byFeed = new Map(passedOver.map((row) => [row.feed_id, row.objects]));
  return new Map(
    plan.feeds.map(({ feedId }) => {
      const tags = fileTagsOfFeed(plan, feedId);
      const objects = tags.reduce((sum, tag) => sum + (byTag.get(tag) ?? 0), 0);
      const unchanged = byFeed.get(feedId) ?? 0;
      return [feedId, { loads: objects - unchanged, unchanged }];
    }),
  );
}

/**
 * One load for each feed and object. Ordinals are reserved here, in the manifest's order: the feeds'
 * rows are locked by rising id, so that two workflows never wait for each other.
 */
async function makeLoads(change: Change): Promise<void> {
  const plan = planFromJson(change.workflow.plan);
  const loads = await countLoads(change, plan);
  let number = await nextNumber(change);
  for (const feedId of [...loads.keys()].sort()) {
    const found = loads.get(feedId) ?? { loads: 0, unchanged: 0 };
    const count = found.loads;
    warnOfUnloaded(change, plan, feedId, found);
    if (count === 0) continue;
    if (plan.comparison === undefined) await warnOfSameContent(change, plan, feedId);
    // Rows of a shadow load are never beside the domain table's.
    const first = plan.comparison === undefined ? await reserveOrdinals(change, feedId, count) : 1;
    const variant = queryOf(plan, feedId) === undefined ? "" : "query_file";
    await sql`
      insert into task (tenant, id, workflow_id, number, kind, state, feed_id, page, position,
                        object_ordinal, key, date, bytes_total, revision, variant, unit, unit_tasks)
      select ${change.tenant}, 'task_' || replace(gen_random_uuid()::text, '-', ''), ${change.workflow.id},
             ${number - 1}::integer + place, 'load', 'waiting', ${feedId}, page, position,
             ${first - 1}::bigint + place, key, date, size, ${change.revision}::bigint, ${variant},
             ${number - 1}::integer + ${UNIT}, ${UNIT_TASKS}
      from (${inUnits(
        sql`
        select *, (row_number() over (order by date, key collate "C", page, position))::integer as place
        from manifest_object
        where tenant = ${change.tenant} and workflow_id = ${change.workflow.id}
          and file_tag in (${sql.join(fileTagsOfFeed(plan, feedId))})
          and not exists (
            select 1 from unchanged_object as unchanged
            where unchanged.tenant = manifest_object.tenant
              and unchanged.workflow_id = manifest_object.workflow_id and unchanged.feed_id = ${feedId}
              and unchanged.page = manifest_object.page
              and unchanged.position = manifest_object.position)`,
        variant === "" ? unitTags(plan, feedId) : [],
      )}) as object`.execute(change.trx);
    number += count;
    if (variant !== "") {
      await insertTasks(change, [{ kind: "load", feedId, variant: "query", ordinal: first }]);
      number++;
    }
  }
  const total = await change.trx
    .selectFrom("task")
    .select(sql<number>`coalesce(sum(bytes_total), 0)::bigint`.as("bytes"))
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("kind", "=", "load")
    .executeTakeFirstOrThrow();
  change.set.bytesTotal += total.bytes;
  change.tasksReady = true;
}

async function reserveOrdinals(change: Change, feedId: string, count: number): Promise<number> {
  const row = await change.trx
    .insertInto("object_ordinal")
    .values({ tenant: change.tenant, feed_id: feedId, next_ordinal: count + 1 })
    .onConflict((conflict) =>
      conflict.columns(["tenant", "feed_id"]).doUpdateSet({
        next_ordinal: sql<number>`object_ordinal.next_ordinal + ${count}::bigint`,
      }),
    )
    .returning("next_ordinal")
    .executeTakeFirstOrThrow();
  return row.next_ordinal - count;
}

/** The feeds that are loaded and have no publish yet. */
export async function unpublishedFeeds({ trx, tenant, workflow }: Change): Promise<string[]> {
  const rows = await trx
    .selectFrom("task")
    .select(["feed_id", "kind"])
    .distinct()
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("kind", "in", ["load", "publish"])
    .where((where) => where.or([where("kind", "=", "publish"), where("state", "<>", "skipped")]))
    .orderBy("feed_id")
    .execute();
  const made = new Set(rows.flatMap((row) => (row.kind === "publish" ? [row.feed_id] : [])));
  return rows.flatMap(({ kind, feed_id }) =>
    kind === "load" && feed_id !== null && !made.has(feed_id) ? [feed_id] : [],
  );
}

export async function makePublishes(change: Change, feedIds: readonly string[]): Promise<void> {
  const { comparison } = planFromJson(change.workflow.plan);
  const variant = comparison === undefined ? "" : "compare";
  await insertTasks(
    change,
    feedIds.map((feedId) => ({ kind: "publish", feedId, variant })),
  );
}

/** A task without an object. */
interface NewTask {
  readonly kind: "load" | "publish" | "discard";
  readonly feedId: string | null;
  readonly variant?: TaskVariant;
  /** Of the rows that a query gives. */
  readonly ordinal?: number;
}

async function insertTasks(change: Change, tasks: readonly NewTask[]): Promise<void> {
  const number = await nextNumber(change);
  await change.trx
    .insertInto("task")
    .values(
      tasks.map((task, index) => ({
        tenant: change.tenant,
        id: makeId("task"),
        workflow_id: change.workflow.id,
        number: number + index,
        kind: task.kind,
        state: "waiting" as const,
        feed_id: task.feedId,
        object_ordinal: task.ordinal ?? null,
        variant: task.variant ?? "",
        revision: change.revision,
      })),
    )
    .execute();
  change.tasksReady = true;
}

async function nextNumber(change: Change): Promise<number> {
  const row = await change.trx
    .selectFrom("task")
    .select(sql<number>`coalesce(max(number), 0) + 1`.as("next"))
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .executeTakeFirstOrThrow();
  return row.next;
}

async function cancelUntouched(change: Change): Promise<void> {
  await change.trx
    .updateTable("task")
    .set({
      state: "canceled",
      available_time: null,
      end_time: sql<Date>`now()`,
      revision: change.revision,
    })
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("state", "=", "waiting")
    .where((where) =>
      where.or([
        where("kind", "in", ["list", "load"]),
        where.and([
          where("kind", "=", "publish"),
          where("attempt", "=", where.ref("attempt_floor")),
        ]),
      ]),
    )
    .execute();
}

async function delay(change: Change, task: TaskRow, delayMs: number): Promise<void> {
  if (delayMs === 0) {
    change.tasksReady = true;
    return;
  }
  await change.trx
    .updateTable("task")
    .set({
      available_time: sql<Date>`clock_timestamp() + make_interval(secs => ${delayMs / 1000})`,
    })
    .where("tenant", "=", change.tenant)
    .where("id", "=", task.id)
    .execute();
  change.delaysMs.push(delayMs);
}

async function recordLoad(change: Change, task: TaskRow): Promise<void> {
  const plan = planFromJson(change.workflow.plan);
  if (plan.comparison !== undefined) return;
  const feedId = feedOf(plan, task.feed_id).feedId;
  const staged = await stagedFor(change.trx, change.tenant, task.workflow_id, feedId);
  await change.trx
    .insertInto("load_record")
    .values({
      tenant: change.tenant,
      workflow_id: task.workflow_id,
      feed_id: feedId,
      operation: plan.courier.loads.find((load) => feedIdOf(load) === feedId)?.operation ?? 0,
      rows: staged.rows - staged.rejectedRows,
      rejected_rows: staged.rejectedRows,
      change: changeKindOf(plan),
    })
    .execute();
  await recordLoadedFiles(change, task, plan);
}

/** What all loads of a workflow into a feed made durable together. Of files for a query, their rejects alone count. */
export async function stagedFor(
  kysely: Kysely<Schema>,
  tenant: string,
  workflowId: string,
  feedId: string,
): Promise<{ readonly batches: number; readonly rows: number; readonly rejectedRows: number }> {
  return await kysely
    .selectFrom("task")
    .select([
      sql<number>`coalesce(sum(done_batches), 0)::bigint`.as("batches"),
      sql<number>`coalesce(sum(case when variant = 'query_file' then done_rejected_rows
        else done_rows end), 0)::bigint`.as("rows"),
      sql<number>`coalesce(sum(done_rejected_rows), 0)::bigint`.as("rejectedRows"),
    ])
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflowId)
    .where("feed_id", "=", feedId)
    .where("kind", "=", "load")
    .executeTakeFirstOrThrow();
}
