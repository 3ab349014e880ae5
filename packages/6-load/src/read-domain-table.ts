import type { TableColumn } from "./columns.ts";
import { readColumns } from "./domain-table.ts";
import { quoteIdentifier } from "./quoting.ts";
import { domainTable, rejectsTable, type TableAddress } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** A value as JSON can carry it without loss: numbers beyond doubles are text, dates are ISO text. */
export type JsonValue = string | number | boolean | null;

/** One refused row of a file. */
export interface Reject {
  readonly workflowId: string;
  readonly key: string;
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
  /** The raw values as JSON text, or the raw record. */
  readonly record: string;
  readonly time: string;
}

/** The columns of the domain table as readers see them; empty if there is none. */
export async function describeDomainTable(
  warehouse: Warehouse,
  at: TableAddress,
): Promise<TableColumn[]> {
  return await readColumns(warehouse, domainTable(at));
}

/** Rows that readers see: the newest of each primary key. */
export async function countRows(warehouse: Warehouse, at: TableAddress): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${domainTable(at).sql}`,
  );
  return Number(found?.n ?? 0);
}

/** Rows in the quarantine, of all workflows. */
export async function countRejects(warehouse: Warehouse, at: TableAddress): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${rejectsTable(at).sql} FINAL`,
  );
  return Number(found?.n ?? 0);
}

/** Types whose values a JSON number holds, or that are no number. Everything else is sent as text. */
const PLAIN = /^(Nullable\()?(Bool|Float(32|64)|U?Int(8|16|32))\)?$/;

/** Some rows, in the order of the primary key; integers and decimals as text. */
export async function sampleRows(
  warehouse: Warehouse,
  at: TableAddress,
  limit: number,
): Promise<Record<string, JsonValue>[]> {
  const columns = await describeDomainTable(warehouse, at);
  const values = columns.map(({ name, type }) => {
    const column = quoteIdentifier(name);
    return PLAIN.test(type) ? column : `toString(${column}) AS ${column}`;
  });
  return await warehouse.query<Record<string, JsonValue>>(
    `SELECT ${values.join(", ")} FROM (SELECT * FROM ${domainTable(at).sql} LIMIT {limit:UInt64})`,
    { limit },
  );
}

/** Refused rows of published or failed loads, in the order of their places. */
export async function listRejects(
  warehouse: Warehouse,
  at: TableAddress,
  options: { readonly workflowId?: string; readonly limit: number; readonly offset?: number },
): Promise<Reject[]> {
  const { workflowId, limit, offset = 0 } = options;
  const found = await warehouse.query<
    Omit<Reject, "row" | "byteOffset"> & { row: string; byteOffset: string }
  >(
    `SELECT _workflow AS workflowId, _file AS key, _entry AS entry, toString(_row) AS row, toString(_offset) AS byteOffset,
       stage, code, field, value, message, record, toString(time) AS time
     FROM ${rejectsTable(at).sql} FINAL
     ${workflowId === undefined ? "" : "WHERE _workflow = {workflowId:String}"}
     ORDER BY _workflow, _file, _entry, _row LIMIT {limit:UInt64} OFFSET {offset:UInt64}`,
    { limit, offset, ...(workflowId === undefined ? {} : { workflowId }) },
  );
  return found.map((reject) => ({
    ...reject,
    row: Number(reject.row),
    byteOffset: Number(reject.byteOffset),
  }));
}
