import { IS_OPEN_REJECT } from "./columns.ts";
import { rejectsTable, type TableAddress } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** One refused row of a file. */
export interface Reject {
  readonly workflowId: string;
  readonly key: string;
  /** Empty for rejects of an older release. */
  readonly etag: string;
  readonly entry: string;
  readonly row: number;
  readonly byteOffset: number;
  readonly stage: string;
  readonly code: string;
  /** Empty when the record could not be cut into fields. */
  readonly field: string;
  /** Cut at 4 KiB. */
  readonly value: string;
  readonly message: string;
  /** The raw values of the chosen columns as JSON text, or the raw record. */
  readonly record: string;
  /** The version of the feed that refused it; 0 for rejects of an older release. */
  readonly feedVersion: number;
  readonly time: string;
}

/** How many rows were refused for one reason. */
export interface RejectSummary {
  readonly stage: string;
  readonly code: string;
  readonly field: string;
  readonly rows: number;
}

/** Which rejects: all of the feed, or those of one workflow. */
export interface RejectFilter {
  readonly workflowId?: string;
}

const COLUMNS = `_workflow AS workflowId, _file AS key, _etag AS etag, _entry AS entry, toString(_row) AS row,
  toString(_offset) AS byteOffset, stage, code, field, value, message, record, _feed_version AS feedVersion, toString(time) AS time`;
const ORDER = "ORDER BY _workflow, _file, _entry, _row";

type RejectRow = Omit<Reject, "row" | "byteOffset"> & { row: string; byteOffset: string };

const toReject = (found: RejectRow): Reject => ({
  ...found,
  row: Number(found.row),
  byteOffset: Number(found.byteOffset),
});

const where = ({ workflowId }: RejectFilter, more = ""): string =>
  `WHERE ${IS_OPEN_REJECT}${workflowId === undefined ? "" : " AND _workflow = {workflowId:String}"}${more}`;

const parameters = ({ workflowId }: RejectFilter): Record<string, unknown> =>
  workflowId === undefined ? {} : { workflowId };

/** Rows in the quarantine, of all workflows. */
export async function countRejects(warehouse: Warehouse, at: TableAddress): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${rejectsTable(at).sql} FINAL ${where({})}`,
  );
  return Number(found?.n ?? 0);
}

/** Refused rows of published or failed loads, in the order of their places. */
export async function listRejects(
  warehouse: Warehouse,
  at: TableAddress,
  options: RejectFilter & { readonly limit: number; readonly offset?: number },
): Promise<Reject[]> {
  const { limit, offset = 0 } = options;
  const found = await warehouse.query<RejectRow>(
    `SELECT ${COLUMNS} FROM ${rejectsTable(at).sql} FINAL ${where(options)}
     ${ORDER} LIMIT {limit:UInt64} OFFSET {offset:UInt64}`,
    { limit, offset, ...parameters(options) },
  );
  return found.map(toReject);
}

/** How many rows were refused for which reason, most first: what a person reads before the rows. */
export async function summarizeRejects(
  warehouse: Warehouse,
  at: TableAddress,
  options: RejectFilter = {},
): Promise<RejectSummary[]> {
  const found = await warehouse.query<Omit<RejectSummary, "rows"> & { n: string }>(
    `SELECT stage, code, field, toString(count()) AS n FROM ${rejectsTable(at).sql} FINAL ${where(options)}
     GROUP BY stage, code, field ORDER BY count() DESC, stage, code, field`,
    parameters(options),
  );
  return found.map(({ n, ...reason }) => ({ ...reason, rows: Number(n) }));
}

/** Rejects of one request; fewer where their records are large. */
const PAGE_ROWS = 1000;
const PAGE_BYTES = 4 * 2 ** 20;

/**
 * All rejects in the order of their places, values and records unchanged. Memory is bounded by a page, or by
 * one record. Pages go on behind the last row's place, so that what is published meanwhile neither
 * doubles nor hides a row.
 */
export async function* exportRejects(
  warehouse: Warehouse,
  at: TableAddress,
  options: RejectFilter = {},
): AsyncGenerator<Reject, void> {
  const table = rejectsTable(at).sql;
  const key = "(_workflow, _file, _entry, _row)";
  let after: Record<string, unknown> = {};
  let behind = "";
  for (;;) {
    const sizes = await warehouse.query<{ n: string }>(
      `SELECT toString(length(record) + length(value)) AS n FROM ${table} FINAL
       ${where(options, behind)} ${ORDER} LIMIT ${PAGE_ROWS}`,
      { ...parameters(options), ...after },
    );
    let bytes = 0;
    const over = sizes.findIndex(({ n }) => {
      bytes += Number(n);
      return bytes > PAGE_BYTES;
    });
    const limit = over === -1 ? PAGE_ROWS : Math.max(1, over);
    const page = await warehouse.query<RejectRow>(
      `SELECT ${COLUMNS} FROM ${table} FINAL ${where(options, behind)} ${ORDER} LIMIT {limit:UInt64}`,
      { limit, ...parameters(options), ...after },
    );
    for (const row of page) yield toReject(row);
    const last = page.at(-1);
    if (last === undefined || (sizes.length < PAGE_ROWS && page.length >= sizes.length)) return;
    after = { w: last.workflowId, f: last.key, e: last.entry, r: last.row };
    behind = ` AND ${key} > ({w:String}, {f:String}, {e:String}, {r:UInt64})`;
  }
}
