import { Code, ConnectError } from "@connectrpc/connect";
import type { Courier, FeedLoad } from "@sluice/api/control/v1/courier_pb";
import { feedIdOf } from "../../couriers/courier-feeds.ts";
import type { Change } from "../change.ts";

/**
 * Whether a workflow can go on with another query than it began with. FAILED_PRECONDITION for a query over other files,
 * and for one that was run already, or some of whose files are still to be loaded: of records no more is staged than the
 * members that the SQL names, and all files have to be staged by one.
 */
export async function assertQueriesFit(
  { trx, tenant, workflow }: Change,
  before: Courier,
  after: Courier,
): Promise<void> {
  for (const load of before.loads) {
    const { ingestQuery: old } = load;
    const feedId = feedIdOf(load);
    const current = queryOf(after, feedId);
    if (old === undefined && current === undefined) continue;
    // Files are staged by the place of their tag: in another order they would be taken for each other.
    if (old === undefined || current?.fileTags.join() !== old.fileTags.join()) {
      throw another(`feed ${feedId} is filled from other files than the workflow began with`);
    }
    if (current.sql === old.sql) continue;
    const tasks = await trx
      .selectFrom("task")
      .select(["variant", "state"])
      .distinct()
      .where("tenant", "=", tenant)
      .where("workflow_id", "=", workflow.id)
      .where("feed_id", "=", feedId)
      .where("kind", "=", "load")
      .where("state", "<>", "skipped")
      .execute();
    if (tasks.some(({ variant, state }) => variant === "query_file" && state !== "succeeded")) {
      throw another(`files of the query of feed ${feedId} are still to be loaded, for other SQL`);
    }
    const isRun = tasks.some(
      ({ variant, state }) => variant === "query" && (state === "running" || state === "succeeded"),
    );
    if (isRun) throw another(`the query of feed ${feedId} was run already, by other SQL`);
  }
}

const queryOf = ({ loads }: Courier, feedId: string): FeedLoad["ingestQuery"] =>
  loads.find((load) => feedIdOf(load) === feedId)?.ingestQuery;

const another = (why: string): ConnectError =>
  new ConnectError(`${why}: restart the workflow instead`, Code.FailedPrecondition);
