import type { TableColumn } from "./columns.ts";
import type { TableName } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** What the server's catalog says of one table. */
export interface CatalogTable {
  readonly uuid: string;
  /** Engine, keys and settings, as the server writes them. */
  readonly engine: string;
  /** Of the parts that are there now; 0 of a view. */
  readonly rows: number;
}

export interface LookedFor {
  readonly database: string;
  readonly names: readonly string[];
  /** Beginnings of names. */
  readonly prefixes?: readonly string[];
}

/** The tables that are there of those that are looked for, by name, in the order of their names. */
export async function lookAtTables(
  warehouse: Warehouse,
  { database, names, prefixes = [] }: LookedFor,
): Promise<ReadonlyMap<string, CatalogTable>> {
  const found = await warehouse.query<{ name: string; uuid: string; engine: string; n: string }>(
    `SELECT name, toString(uuid) AS uuid, engine_full AS engine, toString(ifNull(total_rows, 0)) AS n
     FROM system.tables WHERE database = {database:String}
       AND (name IN {names:Array(String)} OR arrayExists(prefix -> startsWith(name, prefix), {prefixes:Array(String)})) ORDER BY name`,
    { database, names, prefixes },
  );
  return new Map(
    found.map(({ name, uuid, engine, n }) => [name, { uuid, engine, rows: Number(n) }]),
  );
}

/** A table as it is made: what it is sorted by and what it holds. */
export interface TableShape {
  readonly engine: string;
  readonly sortingKey: readonly string[];
  /** In order. */
  readonly columns: readonly TableColumn[];
}

/** The shapes of those tables of one database that are there, by name. */
export async function lookAtShapes(
  warehouse: Warehouse,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, TableShape>> {
  const asked = {
    database: tables[0]?.database ?? "",
    names: tables.map(({ table }) => table),
  };
  // Side by side: joined by the server they cost it more than both.
  const [found, columns] = await Promise.all([
    warehouse.query<{ name: string; engine: string; key: string }>(
      "SELECT name, engine_full AS engine, sorting_key AS key FROM system.tables WHERE database = {database:String} AND name IN {names:Array(String)}",
      asked,
    ),
    warehouse.query<TableColumn & { readonly table: string }>(
      "SELECT table, name, type FROM system.columns WHERE database = {database:String} AND table IN {names:Array(String)} ORDER BY table, position",
      asked,
    ),
  ]);
  return new Map(
    found.map(({ name: table, engine, key }) => [
      table,
      {
        engine,
        sortingKey: toSortingKey(key),
        columns: columns
          .filter((column) => column.table === table)
          .map(({ name, type }) => ({ name, type })),
      },
    ]),
  );
}

/** The server quotes a name only where it must; field names hold none of its signs. */
export function toSortingKey(key: string): string[] {
  return key
    .split(", ")
    .map((name) => name.replaceAll(/[`()]/g, ""))
    .filter((name) => name !== "");
}
