import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ListLoadsRequest,
  ListLoadsResponseSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import { LoadSchema } from "@sluice/api/control/v1/workflow_pb";
import { toPage } from "../resources/page.ts";
import type { EngineContext } from "./context.ts";
import { belowNumber } from "./page-number.ts";

/** The loads of a feed that were published, newest first. The feed itself is not looked for. */
export async function listLoads(
  context: EngineContext,
  request: ListLoadsRequest,
): Promise<MessageInitShape<typeof ListLoadsResponseSchema>> {
  const page = toPage(request, ["loads", request.feedId]);
  const below = belowNumber(page);
  let query = context.kysely
    .selectFrom("load_record")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .where("feed_id", "=", request.feedId)
    .orderBy("number", "desc")
    .limit(page.size + 1);
  if (below !== undefined) query = query.where("number", "<", below);
  const { rows, nextPageToken } = page.cut(await query.execute(), (row) => [String(row.number)]);
  return {
    loads: rows.map((row) =>
      create(LoadSchema, {
        workflowId: row.workflow_id,
        operation: row.operation,
        rows: BigInt(row.rows),
        rejectedRows: BigInt(row.rejected_rows),
        publishTime: timestampFromDate(row.publish_time),
      }),
    ),
    nextPageToken,
  };
}
