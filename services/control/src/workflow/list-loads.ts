import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ListLoadsRequest,
  ListLoadsResponseSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import { type Load, Load_Change, LoadSchema } from "@sluice/api/control/v1/workflow_pb";
import type { TableChangeKind } from "../database/schema.ts";
import { toPage } from "../resources/page.ts";
import type { EngineContext } from "./context.ts";
import { type LoadRecord, newestChange, undoRefusal } from "./load-records.ts";
import { belowNumber } from "./page-number.ts";

const CHANGES: Record<TableChangeKind, Load_Change> = {
  load: Load_Change.LOAD,
  replay: Load_Change.REPLAY,
  delete_rows: Load_Change.DELETE_ROWS,
  truncate: Load_Change.TRUNCATE,
  undo: Load_Change.UNDO,
  custom_table: Load_Change.CUSTOM_TABLE,
};

/** The changes of a domain table that were published, newest first. The feed itself is not looked for. */
export async function listLoads(
  context: EngineContext,
  request: ListLoadsRequest,
): Promise<MessageInitShape<typeof ListLoadsResponseSchema>> {
  const page = toPage(request, ["loads", request.feedId]);
  const below = belowNumber(page);
  const tenant = context.tenant();
  let query = context.kysely
    .selectFrom("load_record")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("feed_id", "=", request.feedId)
    .orderBy("number", "desc")
    .limit(page.size + 1);
  if (below !== undefined) query = query.where("number", "<", below);
  const { rows, nextPageToken } = page.cut(await query.execute(), (row) => [String(row.number)]);
  const newest = await newestChange(context.kysely, tenant, request.feedId);
  return { loads: rows.map((row) => toLoad(row, newest)), nextPageToken };
}

/** A change on record as the API gives it; `newest` is the newest one of its table that still counts. */
export function toLoad(row: LoadRecord, newest: LoadRecord | undefined): Load {
  return create(LoadSchema, {
    workflowId: row.workflow_id,
    operation: row.operation,
    rows: BigInt(row.rows),
    rejectedRows: BigInt(row.rejected_rows),
    publishTime: timestampFromDate(row.publish_time),
    change: CHANGES[row.change],
    ...(row.rows_before === null ? {} : { rowsBefore: BigInt(row.rows_before) }),
    ...(row.rows_after === null ? {} : { rowsAfter: BigInt(row.rows_after) }),
    visibleRows: BigInt(row.own_rows),
    undoneBy: row.undone_by ?? "",
    undoes: row.undoes ?? "",
    undoRefusal: undoRefusal(row, newest),
  });
}
