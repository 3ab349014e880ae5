import { fromJson, toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type FeedComparison,
  FeedComparisonSchema,
} from "@sluice/api/control/v1/feed_comparison_pb";
import type { GetComparisonRequest } from "@sluice/api/control/v1/feed_service_pb";
import type { CompareResult } from "@sluice/api/ingest/v1/task_pb";
import { notFound } from "../resources/resource-errors.ts";
import type { Change } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";
import { feedOf, planFromJson } from "./plan.ts";

/** Keeps what a comparison found, with the files that it was of. Repeating it changes nothing. */
export async function keepComparison(
  change: Change,
  task: TaskRow,
  { comparison: found }: CompareResult,
): Promise<void> {
  const plan = planFromJson(change.workflow.plan);
  if (found === undefined || plan.comparison === undefined) {
    throw new Error(`task ${task.id} compared nothing`);
  }
  const { feedId } = feedOf(plan, task.feed_id);
  const { active, objects } = plan.comparison;
  const comparison: FeedComparison = {
    ...found,
    workflowId: change.workflow.id,
    feedId,
    activeVersion: active.version,
    files: objects.map(({ key, etag, date }) => ({
      $typeName: "sluice.control.v1.ComparedFile",
      key,
      etag,
      date,
    })),
  };
  await change.trx
    .insertInto("feed_comparison")
    .values({
      tenant: change.tenant,
      workflow_id: change.workflow.id,
      feed_id: feedId,
      result: toJsonString(FeedComparisonSchema, comparison),
    })
    .onConflict((conflict) => conflict.columns(["tenant", "workflow_id"]).doNothing())
    .execute();
}

/** What a shadow load found; NOT_FOUND before it has. */
export async function getComparison(
  { kysely, tenant }: EngineContext,
  { workflowId }: GetComparisonRequest,
): Promise<{ comparison: FeedComparison }> {
  const row = await kysely
    .selectFrom("feed_comparison")
    .select(["result", "create_time"])
    .where("tenant", "=", tenant())
    .where("workflow_id", "=", workflowId)
    .executeTakeFirst();
  if (row === undefined) throw notFound("comparison of workflow", workflowId);
  const comparison = fromJson(FeedComparisonSchema, row.result, { ignoreUnknownFields: true });
  comparison.createTime = timestampFromDate(row.create_time);
  return { comparison };
}
