import type { Courier } from "@sluice/api/control/v1/courier_pb";
import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import type { Kysely, Selectable } from "kysely";
import { selectCouriers, toCourier } from "../../couriers/courier-rows.ts";
import type { ManifestObjectTable, Schema } from "../../database/schema.ts";
import type { TaskRow, WorkflowRow } from "../context.ts";
import { failureFromJson } from "../failure.ts";
import { type Plan, planFromJson } from "../plan.ts";
import type { ActionRow } from "./action-rows.ts";

export type ObjectRow = Selectable<ManifestObjectTable>;

/** A feed of a workflow, and how its loads are. */
export interface FeedSituation {
  readonly feedId: string;
  /** Loads that the workflow does not go on without. */
  readonly loads: number;
  readonly unfinished: number;
  readonly isPublished: boolean;
}

/** All that decides how an action may be resolved. */
export interface Situation {
  readonly action: ActionRow;
  readonly failure: StageFailure;
  readonly workflow: WorkflowRow;
  readonly plan: Plan;
  readonly task: TaskRow;
  /** What the task loads; undefined for other tasks, and for replays. */
  readonly object: ObjectRow | undefined;
  /** As it is now; undefined when it is gone. */
  readonly courier: Courier | undefined;
  readonly credentials: ReadonlyMap<string, { readonly name: string; readonly etag: string }>;
  /** Those that are not excluded and have objects. */
  readonly feeds: readonly FeedSituation[];
  /** Tags of the files of which an ingest query has yet to read some. */
  readonly queryTags: ReadonlySet<string>;
}

export async function readSituation(kysely: Kysely<Schema>, action: ActionRow): Promise<Situation> {
  const { tenant } = action;
  const workflow = await kysely
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", action.workflow_id)
    .executeTakeFirstOrThrow();
  const task = await kysely
    .selectFrom("task")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", action.task_id)
    .executeTakeFirstOrThrow();
  const courier = await selectCouriers(kysely, tenant)
    .where("courier.id", "=", workflow.courier_id)
    .executeTakeFirst();
  const credentials = await kysely
    .selectFrom("credential")
    .select(["id", "name", "etag"])
    .where("tenant", "=", tenant)
    .execute();
  return {
    action,
    failure: failureFromJson(action.failure),
    workflow,
    plan: planFromJson(workflow.plan),
    task,
    object: await readObject(kysely, task),
    courier: courier === undefined ? undefined : toCourier(courier),
    credentials: new Map(credentials.map(({ id, ...rest }) => [id, rest])),
    feeds: await readFeeds(kysely, workflow),
    queryTags: await readQueryTags(kysely, workflow),
  };
}

async function readQueryTags(kysely: Kysely<Schema>, workflow: WorkflowRow): Promise<Set<string>> {
  const rows = await kysely
    .selectFrom("task")
    .innerJoin("manifest_object", (join) =>
      join
        .onRef("manifest_object.tenant", "=", "task.tenant")
        .onRef("manifest_object.workflow_id", "=", "task.workflow_id")
        .onRef("manifest_object.page", "=", "task.page")
        .onRef("manifest_object.position", "=", "task.position"),
    )
    .select("manifest_object.file_tag")
    .distinct()
    .where("task.tenant", "=", workflow.tenant)
    .where("task.workflow_id", "=", workflow.id)
    .where("task.variant", "=", "query_file")
    .where("task.state", "not in", ["succeeded", "skipped"])
    .execute();
  return new Set(rows.map(({ file_tag }) => file_tag));
}

export async function readObject(
  kysely: Kysely<Schema>,
  task: TaskRow,
): Promise<ObjectRow | undefined> {
  if (task.kind !== "load" || task.key === "") return undefined;
  return await kysely
    .selectFrom("manifest_object")
    .selectAll()
    .where("tenant", "=", task.tenant)
    .where("workflow_id", "=", task.workflow_id)
    .where("page", "=", task.page)
    .where("position", "=", task.position)
    .executeTakeFirst();
}

async function readFeeds(kysely: Kysely<Schema>, workflow: WorkflowRow): Promise<FeedSituation[]> {
  const rows = await kysely
    .selectFrom("task")
    .select(["feed_id", "kind", "state", "is_skipped"])
    .select((select) => select.fn.countAll<string>().as("count"))
    .where("tenant", "=", workflow.tenant)
    .where("workflow_id", "=", workflow.id)
    .where("kind", "in", ["load", "publish"])
    .where("state", "<>", "skipped")
    .where("feed_id", "is not", null)
    .groupBy(["feed_id", "kind", "state", "is_skipped"])
    .orderBy("feed_id")
    .execute();
  const feeds = new Map<string, FeedSituation>();
  for (const { feed_id, kind, state, is_skipped, count } of rows) {
    const feedId = feed_id ?? "";
    const before = feeds.get(feedId) ?? { feedId, loads: 0, unfinished: 0, isPublished: false };
    const isLoad = kind === "load";
    feeds.set(feedId, {
      feedId,
      loads: before.loads + (isLoad && !is_skipped ? Number(count) : 0),
      unfinished: before.unfinished + (isLoad && state !== "succeeded" ? Number(count) : 0),
      isPublished: before.isPublished || (kind === "publish" && state === "succeeded"),
    });
  }
  return [...feeds.values()];
}
