import { createHash } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Slice } from "@sluice/schema";
import type { DecodableGroup } from "./arrow-slices.ts";
import { type Footer, MAGIC, type ReadRange } from "./footer.ts";
import { type RowGroup, writeFooter } from "./row-group.ts";

/** Which row group of the file, and where its bytes come from. */
export interface SlicePlace {
  readonly ordinal: number;
  readonly firstRow: number;
  readonly readRange: ReadRange;
}

/**
 * A row group as a whole Parquet file of its own, made of the magic, the row group's bytes in one
 * ranged read, and a footer that names it alone.
 */
export function toSlice(
  footer: Footer,
  bytes: Uint8Array,
  group: RowGroup,
  { ordinal, firstRow, readRange }: SlicePlace,
): Omit<Slice, "ordinal"> {
  const { rows, start, end } = group;
  // Measured here and built again when it is sent: a file of many wide row groups has many footers.
  const written = writeFooter(footer, bytes, group);
  const hash = createHash("sha256").update(written).digest("hex");
  return {
    format: "Parquet",
    firstRow,
    rows,
    byteLength: MAGIC.length + (end - start) + written.length,
    byteOffset: start,
    identity: `parquet:${start}-${end}:${hash}`,
    async *open(signal) {
      yield MAGIC;
      yield* readExactly(readRange, group, ordinal, signal);
      yield writeFooter(footer, bytes, group);
    },
  };
}

/**
 * The same for the decoder, without key-value metadata: by Arrow's own schema in it the columns would have
 * other types than the Parquet schema says, and by GeoParquet's ClickHouse would rewrite shapes.
 */
export function toDecodable(
  footer: Footer,
  bytes: Uint8Array,
  group: RowGroup,
  { ordinal, firstRow, readRange }: SlicePlace,
): DecodableGroup {
  const written = writeFooter(footer, bytes, group, { hasKeyValues: false });
  return {
    ...group,
    ordinal,
    firstRow,
    byteLength: MAGIC.length + (group.end - group.start) + written.length,
    async *open(signal) {
      yield MAGIC;
      yield* readExactly(readRange, group, ordinal, signal);
      yield written;
    },
  };
}

async function* readExactly(
  readRange: ReadRange,
  { start, end }: RowGroup,
  ordinal: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
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
}
