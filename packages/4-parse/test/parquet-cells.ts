import type { Slice, SourceColumn } from "@sluice/schema";
import type { Server } from "./clickhouse.ts";

/**
 * The rows of a Parquet file as ClickHouse has them, compared with a twin that another reader wrote: JSON, a list of
 * rows, each a list of cells. Texts are held as bytes (latin1), so that those which are no UTF-8 compare too.
 */

/** A value out of JSON whose numbers are still the text that stood there. */
export type Cell = null | boolean | string | NumberText | Cell[] | { [name: string]: Cell };
export class NumberText {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

export function parseCells(json: string): Cell[][] {
  return JSON.parse(json, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" ? new NumberText(context?.source ?? String(value)) : value,
  );
}

const identifier = (name: string): string => `\`${name.replace(/[\\`]/g, "\\$&")}\``;
const literal = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;

/** A type as ClickHouse's reader has it by itself: its own for INT96, which loads are asked for as bytes. */
export function typeAsRead(type: string): string {
  return type.replaceAll(/\bInt96\b/g, "DateTime64(9, 'UTC')");
}

/** The columns as `input()` is asked for them: dates as days, since Date32 does not have all of their years. */
export function structureOf(columns: readonly SourceColumn[]): string {
  const asked = columns.map(({ name, type }) => {
    const days = typeAsRead(type).replace(
      /(`(?:[^`\\]|\\.)*`)|\bDate32\b/g,
      (_, quoted) => quoted ?? "Int32",
    );
    return `${identifier(name)} ${days}`;
  });
  return literal(asked.join(", "));
}

/** What the text of a cell depends on. */
export const SETTINGS =
  "SETTINGS output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1, output_format_json_quote_denormals = 1, input_format_parquet_preserve_order = 1, max_threads = 1";
/** A row's cells as JSON, in hexadecimal digits. */
export const CELLS = `hex(concat('[', arrayStringConcat(arrayMap(pair -> toJSONString(pair), [tuple(*)]), ','), ']'))`;

/** Makes a table for rows of every route, empty at each call. */
export async function emptyCells(server: Server): Promise<void> {
  await server.query(
    "CREATE TABLE IF NOT EXISTS cells (route String, row UInt64, cells String) ENGINE = Memory",
  );
  await server.query("TRUNCATE TABLE cells");
}

/** Sends a unit of loading as 6-load does, and keeps its rows under the route's name. */
export async function insertCells(
  server: Server,
  route: string,
  columns: readonly SourceColumn[],
  { format, firstRow, open }: Pick<Slice, "format" | "firstRow" | "open">,
): Promise<void> {
  const from = `input(${structureOf(columns)})`;
  await server.query(
    `INSERT INTO cells SELECT ${literal(route)}, ${firstRow} + rowNumberInAllBlocks(), ${CELLS} FROM ${from} ${SETTINGS} FORMAT ${format}`,
    Buffer.concat(await Array.fromAsync(open())),
  );
}

/** The same of a whole file that ClickHouse fetches. */
export async function insertWhole(
  server: Server,
  columns: readonly SourceColumn[],
  url: string,
): Promise<void> {
  const from = `url(${literal(url)}, Parquet, ${structureOf(columns)})`;
  await server.query(
    `INSERT INTO cells SELECT 'whole', 1 + rowNumberInAllBlocks(), ${CELLS} FROM ${from} ${SETTINGS}`,
  );
}

export async function readCells(server: Server, route: string): Promise<Cell[][]> {
  const lines = await server.query(
    `SELECT cells FROM cells WHERE route = ${literal(route)} ORDER BY row FORMAT TSV`,
  );
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [row] = parseCells(Buffer.from(line, "hex").toString("latin1"));
      // A tuple of one column is a list of one.
      return row ?? [];
    });
}

const MAX_TOLD = 5;

/** Where ClickHouse's cells are not the twin's: the first few, in words. */
export function differences(twin: readonly Cell[][], seen: readonly Cell[][]): string[] {
  const told: string[] = [];
  if (twin.length !== seen.length) told.push(`${seen.length} rows of ${twin.length}`);
  for (const [i, row] of twin.entries()) {
    for (const [j, cell] of row.entries()) {
      const other = seen[i]?.[j];
      if (other !== undefined && isAlike(cell, other)) continue;
      told.push(`row ${i} cell ${j}: ${JSON.stringify(other)}, the twin ${JSON.stringify(cell)}`);
      if (told.length >= MAX_TOLD) return told;
    }
  }
  return told;
}

/** A null struct is a tuple of nulls in ClickHouse, a null list or map an empty one. */
function isNothing(cell: Cell): boolean {
  if (cell === null) return true;
  if (typeof cell !== "object" || cell instanceof NumberText) return false;
  return Array.isArray(cell) ? cell.length === 0 : Object.values(cell).every(isNothing);
}

export function isAlike(twin: Cell | undefined, seen: Cell | undefined): boolean {
  if (twin === undefined || twin === null)
    return seen === undefined || isNothing(seen) || seen === "nan";
  if (seen === undefined || seen === null) return isNothing(twin);
  if (typeof twin === "boolean") return seen === twin;
  if (twin instanceof NumberText) return isSameNumber(twin.source, seen);
  if (typeof twin === "string") return isSameText(twin, seen);
  if (Array.isArray(twin)) {
    const bytes = twin.every((each) => each instanceof NumberText) && typeof seen === "string";
    if (bytes) {
      const codes = twin.map((each) => (each instanceof NumberText ? Number(each.source) : 0));
      return Buffer.from(codes).toString("latin1") === seen;
    }
    return (
      Array.isArray(seen) &&
      seen.length === twin.length &&
      twin.every((each, i) => isAlike(each, seen[i]))
    );
  }
  if (typeof seen === "string") {
    if (typeof twin.hex === "string")
      return Buffer.from(seen, "latin1").toString("hex") === twin.hex;
    // A column of JSON comes as its text.
    return isAlike(twin, parseCells(`[[${seen}]]`)[0]?.[0]);
  }
  if (typeof seen !== "object" || Array.isArray(seen) || seen instanceof NumberText) return false;
  // Names of members are bytes as well.
  const named = Object.fromEntries(
    Object.entries(twin).map(([name, cell]) => {
      const bytes = Buffer.from(name).toString("latin1");
      return [bytes in seen ? bytes : /^\d{4}-\d\d-\d\d$/.test(name) ? daysOf(name) : bytes, cell];
    }),
  );
  const names = new Set([...Object.keys(named), ...Object.keys(seen)]);
  return [...names].every((name) => isAlike(named[name], seen[name]));
}

/** Whole numbers by their digits, others by their nearest double or single. */
function isSameNumber(twin: string, seen: Cell): boolean {
  const text = seen instanceof NumberText ? seen.source : seen;
  if (typeof text !== "string") return false;
  if (/^-?\d+$/.test(twin) && /^-?\d+$/.test(text)) return BigInt(twin) === BigInt(text);
  const [a, b] = [Number(twin), Number(text)];
  return a === b || (Math.fround(a) === Math.fround(b) && text.length < 16);
}

const daysOf = (date: string): string =>
  String(Date.parse(`${date.slice(0, 10)}T00:00Z`) / 86_400_000);
/** Digits of a second's fraction that say nothing. */
const shortest = (text: string): string =>
  text.replace(/(:\d\d)(\.\d*?)0+$/, "$1$2").replace(/\.$/, "");

function isSameText(twin: string, seen: Cell): boolean {
  if (seen instanceof NumberText) {
    // NaN and the infinities are texts in twins alone where ClickHouse quotes them; a date is its days.
    return daysOf(twin) === seen.source;
  }
  if (typeof seen !== "string") return false;
  if (shortest(seen) === shortest(Buffer.from(twin).toString("latin1"))) return true;
  // ISO 8601, cut to milliseconds by the twin's reader.
  const isIso = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(twin);
  return isIso && Date.parse(twin) === Date.parse(`${seen.replace(" ", "T").slice(0, 23)}Z`);
}
