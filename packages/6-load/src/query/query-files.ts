import { StageError } from "@sluice/errors";
import type { Feed, Field, FieldType, SourceColumn, WantedField } from "@sluice/schema";
import { bareType, sourceKind, timeScale } from "../cast/source-type.ts";
import { fieldColumnType, LINEAGE_COLUMNS } from "../columns.ts";
import { readColumns, rejectsTableSql } from "../domain-table.ts";
import { quoteIdentifier } from "../quoting.ts";
import { keepStaged } from "../staging.ts";
import { stagingRejectsTable, stagingTable, type TableAddress } from "../table-names.ts";
import type { Warehouse } from "../warehouse.ts";
import { parseQuery } from "./parsed-query.ts";

/** An ingest query of one workflow: what its files are staged for. */
export interface QueryPlace {
  readonly workflowId: string;
  readonly feed: Feed;
  readonly sql: string;
  /** The files' tags; each is a table of the query. */
  readonly tags: readonly string[];
}

/** The whole record of JSON, XML and Avro as JSON text. */
export const RECORD = "_record";

/** Beside a file's columns, in a query. */
export const FILE_LINEAGE = ["_file", "_entry", "_row"] as const;

/** A database of its own for each query of a workflow: all that the user who runs the query can reach. */
export const queryDatabase = ({ workflowId, feed }: Pick<QueryPlace, "workflowId" | "feed">) =>
  `sluice_query_${workflowId}_${feed.id}`;

/** The tables behind a tag: the files' rows, and what of them could not be read. */
export function fileAddress(place: QueryPlace, tag: string): TableAddress {
  return { source: queryDatabase(place), name: `file_${place.tags.indexOf(tag)}` };
}

/**
 * What of a record that names its own fields is staged: the whole of it, and the members that the query names. With
 * explodePath both are of the exploded elements.
 */
export async function queryFields(
  warehouse: Warehouse,
  { sql }: QueryPlace,
  explodePath: string,
): Promise<WantedField[]> {
  const { identifiers } = await parseQuery(warehouse, sql);
  const names = new Set(identifiers.flatMap((name) => [name, name.split(".").at(-1) ?? name]));
  const members = [...names].filter((name) => name !== "" && !isOurs(name));
  return [
    { incomingName: RECORD, path: explodePath },
    ...members.map((name) =>
      explodePath === ""
        ? { incomingName: name }
        : { incomingName: name, path: `${explodePath}.${JSON.stringify(name)}` },
    ),
  ];
}

const isOurs = (name: string): boolean =>
  name === RECORD || LINEAGE_COLUMNS.some((column) => column.name === name);

/** The columns of a file as a feed, so that they are staged by the same casts and refused rows kept in the same way. */
export function toFileFeed(place: QueryPlace, tag: string, columns: readonly SourceColumn[]): Feed {
  const fields = columns.map(({ name, path, type }): Field => {
    if (LINEAGE_COLUMNS.some((column) => column.name === name)) {
      const message = `the column ${JSON.stringify(name)} of ${tag} has a name that is kept for the rows' origin`;
      throw new StageError("cast", "schema_mismatch", message, { column: name });
    }
    return {
      incomingName: name,
      ...(path === undefined ? {} : { path }),
      name,
      type: stagedType(type),
      nonFinite: "keep",
      semanticTags: [],
      include: true,
      require: false,
    };
  });
  const { source, name } = fileAddress(place, tag);
  return {
    id: `${place.feed.id}/${tag}`,
    source,
    name,
    version: place.feed.version,
    fields,
    primaryKey: [],
    errorThresholdPercent: 100,
    makeAvailableToStitch: false,
  };
}

/** The type that holds a file's values without loss; text where no field type does. */
function stagedType(type: string): FieldType {
  const bare = bareType(type);
  switch (sourceKind(type)) {
    case "boolean":
    case "date":
    case "float":
      return { kind: sourceKind(type) as "boolean" | "date" | "float" };
    case "integer":
      return /^(U?Int(8|16|32)|Int64)$/.test(bare) ? { kind: "integer" } : { kind: "string" };
    case "datetime":
      return bare !== "Int96" && timeScale(type) <= 6 ? { kind: "datetime" } : { kind: "string" };
    case "decimal": {
      const [, precision = "0", scale = "0"] = /^Decimal\((\d+), ?(\d+)\)$/.exec(bare) ?? [];
      return Number(precision) >= 1 && Number(precision) <= 38
        ? { kind: "decimal", precision: Number(precision), scale: Number(scale) }
        : { kind: "string" };
    }
    default:
      return { kind: "string" };
  }
}

/**
 * Makes the tables behind a tag, and the columns that this file has and those before it had not. A column whose type
 * differs from theirs is `cast.schema_mismatch`.
 */
export async function prepareFileTables(
  warehouse: Warehouse,
  workflowId: string,
  tag: string,
  file: Feed,
): Promise<void> {
  const rows = stagingTable(file, workflowId);
  const rejects = stagingRejectsTable(file, workflowId);
  const lineage = LINEAGE_COLUMNS.map(({ name, type }) => `${name} ${type}`).join(", ");
  await warehouse.execute(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(file.source)}`);
  await warehouse.execute(
    `CREATE TABLE IF NOT EXISTS ${rows.sql} (${lineage}) ENGINE = MergeTree ORDER BY tuple()`,
  );
  await warehouse.execute(rejectsTableSql(rejects));
  await keepStaged(warehouse, rows, rejects);
  const wanted = file.fields.map(({ name, type }) => ({
    name,
    type: `Nullable(${fieldColumnType(type)})`,
  }));
  const known = new Map((await readColumns(warehouse, rows)).map(({ name, type }) => [name, type]));
  const added = wanted.filter(({ name }) => !known.has(name));
  if (added.length > 0) {
    const clauses = added.map(
      ({ name, type }) => `ADD COLUMN IF NOT EXISTS ${quoteIdentifier(name)} ${type}`,
    );
    await warehouse.execute(`ALTER TABLE ${rows.sql} ${clauses.join(", ")}`);
  }
  const now = new Map((await readColumns(warehouse, rows)).map(({ name, type }) => [name, type]));
  const different = wanted.filter(({ name, type }) => now.get(name) !== type);
  if (different.length === 0) return;
  const said = different.map(
    ({ name, type }) => `${JSON.stringify(name)} is ${type}, and ${now.get(name)} in another file`,
  );
  throw new StageError("cast", "schema_mismatch", `the files of ${tag} differ: ${said.join("; ")}`);
}

/**
 * Gives each tag its table, a view over its files' rows. A member of records that no record of a tag has is left out where
 * another tag has it, or the SQL itself gives the name: it was looked for by that name alone, which would mean two things.
 */
export async function nameFileTables(warehouse: Warehouse, place: QueryPlace): Promise<void> {
  const { workflowId, tags } = place;
  const database = quoteIdentifier(queryDatabase(place));
  await warehouse.execute(`CREATE DATABASE IF NOT EXISTS ${database}`);
  const lineage = new Set(LINEAGE_COLUMNS.map(({ name }) => name));
  const files: { readonly tag: string; readonly columns: string[]; readonly from: string }[] = [];
  for (const tag of tags) {
    const rows = stagingTable(fileAddress(place, tag), workflowId);
    const columns = (await readColumns(warehouse, rows)).map(({ name }) => name);
    files.push({ tag, columns: columns.filter((name) => !lineage.has(name)), from: rows.sql });
  }
  const { identifiers, aliases } = await parseQuery(warehouse, place.sql);
  const wanted = new Set(identifiers.map((name) => name.split(".").at(-1) ?? name));
  for (const { tag, columns, from } of files) {
    const others = files.filter((file) => file.tag !== tag).flatMap((file) => file.columns);
    const absent = await absentMembers(warehouse, from, columns, [...others, ...aliases]);
    const shown = columns.filter((name) => !absent.has(name));
    const list = [...shown, ...FILE_LINEAGE].map(quoteIdentifier).join(", ");
    // A tag without a file is an empty table of the columns that the query may mean.
    const assumed = [...wanted].filter((name) => !others.includes(name) && !lineage.has(name));
    const select =
      columns.length > 0
        ? `SELECT ${list} FROM ${from}`
        : `SELECT ${[...assumed, ...FILE_LINEAGE].map((name) => `CAST(NULL, 'Nullable(String)') AS ${quoteIdentifier(name)}`).join(", ")} WHERE 0`;
    await warehouse.execute(
      `CREATE OR REPLACE VIEW ${database}.${quoteIdentifier(tag)} AS ${select}`,
    );
  }
}

/** The columns of records' members that are null in every row, of those whose names have another meaning too. */
async function absentMembers(
  warehouse: Warehouse,
  from: string,
  columns: readonly string[],
  others: readonly string[],
): Promise<ReadonlySet<string>> {
  if (!columns.includes(RECORD)) return new Set();
  const shared = columns.filter((name) => name !== RECORD && others.includes(name));
  if (shared.length === 0) return new Set();
  const counts = shared.map((name) => `countIf(isNotNull(${quoteIdentifier(name)})) = 0`);
  const [found] = await warehouse.query<{ absent: number[] }>(
    `SELECT [${counts.join(", ")}] AS absent FROM ${from}`,
  );
  return new Set(shared.filter((_, index) => found?.absent[index] === 1));
}

/** Removes everything of a query. */
export async function dropQuery(
  warehouse: Warehouse,
  place: Pick<QueryPlace, "workflowId" | "feed">,
): Promise<void> {
  await warehouse.execute(`DROP DATABASE IF EXISTS ${quoteIdentifier(queryDatabase(place))}`);
}

/** Rows of each file that are staged for the query, refused ones included. */
export async function countFileRows(
  warehouse: Warehouse,
  place: QueryPlace,
): Promise<Map<string, number>> {
  const tables = await stagedTables(warehouse, place);
  const counts = new Map<string, number>();
  if (tables.length === 0) return counts;
  const each = tables.map((sql) => `SELECT _file AS file, count() AS n FROM ${sql} GROUP BY file`);
  const found = await warehouse.query<{ file: string; n: string | number }>(
    each.join(" UNION ALL "),
  );
  for (const { file, n } of found) counts.set(file, (counts.get(file) ?? 0) + Number(n));
  return counts;
}

async function stagedTables(warehouse: Warehouse, place: QueryPlace): Promise<string[]> {
  const database = queryDatabase(place);
  const found = await warehouse.query<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, 'file_')",
    { database },
  );
  return found.map(({ name }) => `${quoteIdentifier(database)}.${quoteIdentifier(name)}`);
}
