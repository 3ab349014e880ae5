import type { TableColumn } from "./columns.ts";
import { readColumns, readSortingKey } from "./domain-table.ts";
import { quoteIdentifier } from "./quoting.ts";
import { domainTable, rowsTable, type TableAddress } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** A value as JSON can carry it without loss: numbers beyond doubles are text, dates are ISO text. */
export type JsonValue = string | number | boolean | null;

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

/** Types whose values a JSON number holds, or that are no number. Everything else is sent as text. */
const PLAIN = /^(Nullable\()?(Bool|Float(32|64)|U?Int(8|16|32))\)?$/;

/** Some rows, in the order of the primary key, of those that fulfil a condition; integers and decimals as text. */
export async function sampleRows(
  warehouse: Warehouse,
  at: TableAddress,
  limit: number,
  condition = "1",
): Promise<Record<string, JsonValue>[]> {
  const columns = await describeDomainTable(warehouse, at);
  const values = columns.map(({ name, type }) => {
    const column = quoteIdentifier(name);
    return PLAIN.test(type) ? column : `toString(${column}) AS ${column}`;
  });
  const key = (await readSortingKey(warehouse, rowsTable(at))).map(quoteIdentifier);
  const order = key.length === 0 ? "" : `ORDER BY ${key.join(", ")} `;
  return await warehouse.query<Record<string, JsonValue>>(
    `SELECT ${values.join(", ")} FROM (SELECT * FROM ${domainTable(at).sql} WHERE ${condition} ${order}LIMIT {limit:UInt64})`,
    { limit },
  );
}
