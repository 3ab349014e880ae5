import { clone, equals } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import { type FileSettings, FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import { feedIdOf } from "../../couriers/courier-feeds.ts";
import type { Change } from "../change.ts";
import { type Plan, planToJson } from "../plan.ts";
import { assertQueriesFit } from "./query-changes.ts";
import { beginAnew } from "./resume.ts";

/**
 * Takes the courier as it is now over into a workflow that rests. Loads that are not done and whose file is opened
 * otherwise now begin from the start. FAILED_PRECONDITION for a change that wants another workflow: other feeds, other
 * operations, a file that is gone, a query that does not fit what was loaded.
 */
export async function refreshPlan(change: Change, plan: Plan, courier: Courier): Promise<void> {
  const { trx, tenant, workflow } = change;
  const found = await trx
    .selectFrom("manifest_object")
    .select("file_tag")
    .distinct()
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .execute();
  assertSameLoads(plan.courier, courier, new Set(found.map(({ file_tag }) => file_tag)));
  await assertQueriesFit(change, plan.courier, courier);
  const reopened = found.flatMap(({ file_tag }) =>
    isOpenedAlike(plan.courier, courier, file_tag) ? [] : [file_tag],
  );
  const reopenedTags = [...new Set([...(plan.reopenedTags ?? []), ...reopened])];
  change.set.plan = planToJson({ ...plan, courier, reopenedTags });
  if (reopened.length === 0) return;
  if (change.condition.state !== "failed") {
    throw new ConnectError(
      `workflow ${workflow.id} still loads files by the settings that would change: wait until it rests`,
      Code.FailedPrecondition,
    );
  }
  const loads = await trx
    .selectFrom("task")
    .innerJoin("manifest_object", (join) =>
      join
        .onRef("manifest_object.tenant", "=", "task.tenant")
        .onRef("manifest_object.workflow_id", "=", "task.workflow_id")
        .onRef("manifest_object.page", "=", "task.page")
        .onRef("manifest_object.position", "=", "task.position"),
    )
    .selectAll("task")
    .where("task.tenant", "=", tenant)
    .where("task.workflow_id", "=", workflow.id)
    .where("task.kind", "=", "load")
    .where("task.state", "in", ["failed", "canceled"])
    .where("manifest_object.file_tag", "in", reopened)
    .execute();
  if (loads.some(({ variant }) => variant !== "")) {
    throw new ConnectError(
      "an ingest query reads the files that would be opened otherwise: restart the workflow instead",
      Code.FailedPrecondition,
    );
  }
  await beginAnew(change, loads);
}

function assertSameLoads(before: Courier, after: Courier, fileTags: ReadonlySet<string>): void {
  const operations = ({ loads }: Courier): string =>
    [...new Set(loads.map((load) => `${feedIdOf(load)} ${load.operation}`))].sort().join();
  const tags = new Set(after.files.map(({ tag }) => tag));
  const gone = [...fileTags].find((tag) => !tags.has(tag));
  if (operations(before) === operations(after) && gone === undefined) return;
  throw new ConnectError(
    gone === undefined
      ? "the courier has other feeds or operations than the workflow began with: restart the workflow instead"
      : `the courier has no file ${gone} any more, which the workflow loads: restart the workflow instead`,
    Code.FailedPrecondition,
  );
}

/** Whether a file is read in the same way: what is optional decides nothing about bytes that are there. */
export function isOpenedAlike(before: Courier, after: Courier, fileTag: string): boolean {
  const settings = ({ files }: Courier): FileSettings | undefined =>
    withoutOptional(files.find(({ tag }) => tag === fileTag)?.settings);
  const [a, b] = [settings(before), settings(after)];
  return a === undefined || b === undefined ? a === b : equals(FileSettingsSchema, a, b);
}

function withoutOptional(settings: FileSettings | undefined): FileSettings | undefined {
  if (settings === undefined) return undefined;
  const bare = clone(FileSettingsSchema, settings);
  for (const entry of bare.archive?.entries ?? []) {
    entry.optional = false;
    const inside = withoutOptional(entry.settings);
    if (inside !== undefined) entry.settings = inside;
  }
  return bare;
}
