import { createHash } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Slice, SourceColumn } from "@sluice/schema";
import { columnType } from "./column-type.ts";
import { type Footer, MAGIC, type ReadRange, readFooter } from "./footer.ts";
import { readGeoColumns } from "./geo-columns.ts";
import { type RowGroup, readRowGroup, writeFooter } from "./row-group.ts";
import { readRootColumns } from "./schema-tree.ts";

export interface ParquetOptions {
  /** Bytes of the file. */
  readonly size: number;
  readonly readRange: ReadRange;
  /** A larger footer is `parse.record_too_large`. Default 64 MiB. */
  readonly maxFooterBytes?: number;
  /** A larger row group is `parse.record_too_large`. It is streamed, never held. Default 16 GiB. */
  readonly maxRowGroupBytes?: number;
}

/** A Parquet file seen through its footer. */
export interface ParquetFile {
  /** Columns of plain values, in the file's order, each with the type that ClickHouse reads it as. */
  readonly columns: readonly SourceColumn[];
  /** Names of the columns left out: nested ones, and kinds that ClickHouse has no scalar type for. */
  readonly nested: readonly string[];
  readonly rows: number;
  /** One for each row group that has rows, in the file's order. */
  readonly slices: readonly Slice[];
}

/**
 * Opens a Parquet file as slices: each row group is a whole Parquet file of its own, made of the
 * magic, the row group's bytes in one ranged read, and a footer that names it alone. Values are not
 * decoded. All positions are checked against the file's size first.
 *
 * Throws `parse.malformed`, `parse.encrypted_file`, `parse.unsupported_feature` (columns in other
 * files) and `parse.record_too_large` (a limit, named).
 */
export async function openParquet(options: ParquetOptions): Promise<ParquetFile> {
  const { size, readRange, maxFooterBytes = 2 ** 26, maxRowGroupBytes = 2 ** 34 } = options;
  const footer = await readFooter(size, readRange, maxFooterBytes);
  const roots = readRootColumns(footer.schema);
  const leaves = roots.reduce((sum, root) => sum + root.leaves, 0);
  const shapes = readGeoColumns(footer.fields);
  const columns: SourceColumn[] = [];
  const nested: string[] = [];
  for (const root of roots) {
    const type = shapes.has(root.name) ? undefined : columnType(root);
    if (type === undefined) nested.push(root.name);
    else columns.push({ name: root.name, type });
  }

  const slices: Slice[] = [];
  const groups: RowGroup[] = [];
  let rows = 0;
  for (const [ordinal, bytes] of footer.rowGroups.entries()) {
    const group = readRowGroup(bytes, leaves, footer.start);
    if (group.end - group.start > maxRowGroupBytes) {
      const message = `row group ${ordinal} has ${group.end - group.start} bytes, more than maxRowGroupBytes = ${maxRowGroupBytes}`;
      throw new StageError("parse", "record_too_large", message, { byteOffset: group.start });
    }
    if (group.rows > 0 && leaves > 0) {
      slices.push(toSlice(footer, bytes, group, { ordinal, firstRow: rows + 1, readRange }));
      groups.push(group);
    }
    rows += group.rows;
  }
  // Some writers leave the sum out, as a 0; ClickHouse goes by the row groups as well.
  if (rows !== footer.rows && footer.rows !== 0) {
    const message = `the Parquet footer counts ${footer.rows} rows, its row groups ${rows}`;
    throw new StageError("parse", "malformed", message, { byteOffset: footer.start });
  }
  assertApart(groups);
  return { columns, nested, rows, slices };
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

interface SlicePlace {
  readonly ordinal: number;
  readonly firstRow: number;
  readonly readRange: ReadRange;
}

function toSlice(footer: Footer, bytes: Uint8Array, group: RowGroup, place: SlicePlace): Slice {
  const { rows, start, end } = group;
  const { ordinal, firstRow, readRange } = place;
  // Measured here and built again when it is sent: a file of many wide row groups has many footers.
  const written = writeFooter(footer, bytes, group);
  const hash = createHash("sha256").update(written).digest("hex");
  return {
    format: "Parquet",
    ordinal,
    firstRow,
    rows,
    byteLength: MAGIC.length + (end - start) + written.length,
    byteOffset: start,
    identity: `parquet:${start}-${end}:${hash}`,
    async *open(signal) {
      yield MAGIC;
      let left = end - start;
      for await (const chunk of readRange(start, end, signal)) {
        left -= chunk.byteLength;
        if (left < 0) break;
        yield chunk;
      }
      if (left !== 0) {
        const message = `the range of row group ${ordinal} has ${end - start} bytes; other came`;
        throw new StageError("fetch", "length_mismatch", message, { byteOffset: start });
      }
      yield writeFooter(footer, bytes, group);
    },
  };
}
