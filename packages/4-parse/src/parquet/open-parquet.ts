import { StageError } from "@sluice/errors";
import type { Slice, SourceColumn } from "@sluice/schema";
import { type Leasing, UNCOUNTED } from "@sluice/streams";
import { type MemoryOption, parserMemory } from "../blocks/held-memory.ts";
import { arrowSlices } from "./arrow-slices.ts";
import { columnType, membersLeftOut, type NestedPlace } from "./column-type.ts";
import { type Footer, type ReadRange, readFooter } from "./footer.ts";
import { PARQUET_LIMITS, type ParquetLimits } from "./limits.ts";
import { ambiguousPaths, arrowType, needsArrow, type ParquetRoute, refusesArrow } from "./route.ts";
import { type RowGroup, readRowGroup } from "./row-group.ts";
import { readSchema, type SchemaNode } from "./schema-tree.ts";
import { toDecodable, toSlice } from "./slices.ts";

export interface ParquetOptions extends Partial<ParquetLimits>, MemoryOption {
  /** Bytes of the file. */
  readonly size: number;
  readonly readRange: ReadRange;
  /** Leases the decoded pieces of the Arrow route, until they are sent. Default: nobody keeps account. */
  readonly budget?: Leasing;
  /** `auto`: slices, unless ClickHouse's reader could not read the file. Default `auto`. */
  readonly route?: "auto" | ParquetRoute["kind"];
}

export interface UnitOptions {
  /** The first unit wanted; those before it are not read. Default 0. */
  readonly fromOrdinal?: number;
  readonly signal?: AbortSignal;
}

/** A Parquet file seen through its footer. */
export interface ParquetFile {
  /** The columns, nested ones too, in the file's order, each with the type that `input()` reads it as. */
  readonly columns: readonly SourceColumn[];
  /** Names of the columns left out: those that have no type in ClickHouse, or no name. */
  readonly unread: readonly string[];
  /** Members inside of the columns that are left out for the same reasons. */
  readonly leftOut: readonly NestedPlace[];
  readonly rows: number;
  readonly route: ParquetRoute;
  /**
   * One for each row group that has rows, in the file's order. The Arrow route knows its slices only as
   * it decodes: there this throws, and `units` gives them.
   */
  readonly slices: readonly Slice[];
  /** The units of loading, whatever the route, in the file's order. Can be asked for again. */
  units(options?: UnitOptions): AsyncIterable<Slice>;
}

/**
 * Opens a Parquet file. By slices, values are not decoded: each row group is sent as a file of its own.
 * By Arrow, a row group is held, decoded in a thread, and sent in pieces. The columns' types are the
 * same. All positions are checked against the file's size first.
 *
 * Throws `parse.malformed`, `parse.encrypted_file`, `parse.unsupported_feature` (columns in other
 * files, row groups that overlap, a forced route that cannot read the file) and
 * `parse.record_too_large` (a limit, named).
 */
export async function openParquet(options: ParquetOptions): Promise<ParquetFile> {
  const { size, readRange, route: wanted = "auto", memory = UNCOUNTED, budget, ...given } = options;
  const limits = { ...PARQUET_LIMITS, ...given };
  const footer = await readFooter(size, readRange, limits.maxFooterBytes, parserMemory(memory));
  const schema = readSchema(footer.schema, limits.maxSchemaDepth);
  const groups = readGroups(footer, schema, limits.maxRowGroupBytes);
  const route = chooseRoute(schema, wanted);
  const place = { rows: groups.reduce((sum, { group }) => sum + group.rows, 0), route };
  const filled = groups.filter(({ group }) => group.rows > 0 && group.end > group.start);

  if (route.kind === "arrow") {
    const { maxDecodedRowGroupBytes } = limits;
    const decodable = filled.map(({ bytes, group, ...where }) => {
      assertHolds("maxDecodedRowGroupBytes", maxDecodedRowGroupBytes, where.ordinal, group);
      return toDecodable(footer, bytes, group, { ...where, readRange });
    });
    return {
      ...place,
      ...columnsOf(schema, arrowType),
      get slices(): never {
        throw new Error("a Parquet file of the Arrow route has units, not slices");
      },
      units: ({ fromOrdinal = 0, signal } = {}) =>
        arrowSlices(decodable, { ...limits, memory, budget, fromOrdinal, signal }),
    };
  }
  const hidden = ambiguousPaths(schema);
  const slices = filled.map(({ bytes, group, ...where }, ordinal) => ({
    ...toSlice(footer, bytes, group, { ...where, readRange }),
    ordinal,
  }));
  return {
    ...place,
    ...columnsOf(schema, (column) => (hidden.has(column.name) ? undefined : columnType(column))),
    slices,
    async *units({ fromOrdinal = 0 } = {}) {
      yield* slices.slice(fromOrdinal);
    },
  };
}

function columnsOf(
  schema: readonly SchemaNode[],
  typeOf: (column: SchemaNode) => string | undefined,
): Pick<ParquetFile, "columns" | "unread" | "leftOut"> {
  const columns: SourceColumn[] = [];
  const unread: string[] = [];
  const leftOut: NestedPlace[] = [];
  for (const column of schema) {
    const type = column.name === "" ? undefined : typeOf(column);
    if (type === undefined) {
      unread.push(column.name);
    } else {
      columns.push({ name: column.name, type });
      leftOut.push(...membersLeftOut(column));
    }
  }
  return { columns, unread, leftOut };
}

function chooseRoute(
  schema: readonly SchemaNode[],
  wanted: NonNullable<ParquetOptions["route"]>,
): ParquetRoute {
  if (wanted === "slices") return { kind: "slices", why: "asked for" };
  const refused = refusesArrow(schema);
  if (wanted === "arrow") {
    if (refused !== undefined) throw new StageError("parse", "unsupported_feature", refused);
    return { kind: "arrow", why: "asked for" };
  }
  const needed = needsArrow(schema);
  if (needed === undefined) return { kind: "slices", why: "ClickHouse reads all of its columns" };
  if (refused === undefined) return { kind: "arrow", why: needed };
  return { kind: "slices", why: `${needed}, and ${refused}` };
}

interface PlacedGroup {
  /** Its number in the file, from 0. */
  readonly ordinal: number;
  readonly firstRow: number;
  readonly bytes: Uint8Array;
  readonly group: RowGroup;
}

function readGroups(
  footer: Footer,
  schema: readonly SchemaNode[],
  maxRowGroupBytes: number,
): PlacedGroup[] {
  const leaves = schema.reduce((sum, column) => sum + column.leaves, 0);
  let rows = 0;
  const groups = footer.rowGroups.map((bytes, ordinal): PlacedGroup => {
    const group = readRowGroup(bytes, leaves, footer.start);
    assertHolds("maxRowGroupBytes", maxRowGroupBytes, ordinal, group);
    const firstRow = rows + 1;
    rows += group.rows;
    return { ordinal, firstRow, bytes, group };
  });
  // Some writers leave the sum out, as a 0; ClickHouse goes by the row groups as well.
  if (rows !== footer.rows && footer.rows !== 0) {
    const message = `the Parquet footer counts ${footer.rows} rows, its row groups ${rows}`;
    throw new StageError("parse", "malformed", message, { byteOffset: footer.start });
  }
  assertApart(groups.filter(({ group }) => group.rows > 0).map(({ group }) => group));
  return groups;
}

function assertHolds(option: string, limit: number, ordinal: number, group: RowGroup): void {
  const size = group.end - group.start;
  if (size <= limit) return;
  const message = `row group ${ordinal} has ${size} bytes, more than ${option} = ${limit}`;
  throw new StageError("parse", "record_too_large", message, { byteOffset: group.start });
}

/** Row groups that reach into each other would send the same bytes again with each slice. */
function assertApart(groups: readonly RowGroup[]): void {
  const sorted = groups.toSorted((a, b) => a.start - b.start);
  for (const [i, { end }] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined && next.start < end) {
      const message = "a Parquet file whose row groups overlap";
      throw new StageError("parse", "unsupported_feature", message, { byteOffset: next.start });
    }
  }
}
