import { createHash } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Slice } from "@sluice/schema";
import type { Leasing, WorkingMemory } from "@sluice/streams";
import type { ArrowDecoderOptions } from "./arrow-decoder.ts";
import { createGrowingDecoder, type GrowingDecoder } from "./growing-decoder.ts";
import { assertPages } from "./pages.ts";
import type { RowGroup } from "./row-group.ts";

/** One insert takes at most so many rows, to stay one block. */
const MAX_UNIT_ROWS = 1_000_000;
/** Pages that one piece is made of, before compression, as the footer tells it. */
const UNIT_BYTES = 2 ** 23;

/** A row group, and how it becomes a file of its own. */
export interface DecodableGroup extends RowGroup {
  /** Its number in the file, from 0. */
  readonly ordinal: number;
  readonly firstRow: number;
  /** Bytes of the file that `open` gives. */
  readonly byteLength: number;
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface ArrowSliceOptions extends ArrowDecoderOptions {
  readonly fromOrdinal: number;
  /** A larger page is `parse.record_too_large`. */
  readonly maxPageBytes: number;
  readonly signal: AbortSignal | undefined;
  readonly memory: WorkingMemory;
  readonly budget: Leasing | undefined;
}

/** Rows of each piece of a row group but the last: its footer alone decides, so that pieces never change. */
function unitRows({ rows, uncompressedBytes }: RowGroup): number {
  const bytesPerRow = Math.max(1, uncompressedBytes / Math.max(1, rows));
  return Math.min(MAX_UNIT_ROWS, Math.max(1, Math.floor(UNIT_BYTES / bytesPerRow)));
}

/**
 * Decodes the row groups in turn, and gives each as Arrow IPC streams of one record batch. A piece is
 * held in memory for as long as its slice is.
 */
export async function* arrowSlices(
  groups: readonly DecodableGroup[],
  options: ArrowSliceOptions,
): AsyncGenerator<Slice> {
  const { memory, maxDecoderBytes, decodeTimeoutMs } = options;
  await using decoder = createGrowingDecoder({ maxDecoderBytes, decodeTimeoutMs, memory });
  let ordinal = 0;
  for (const group of groups) {
    const step = unitRows(group);
    const pieces = Math.ceil(group.rows / step);
    if (ordinal + pieces > options.fromOrdinal) {
      await decoder.take(group.byteLength, async () => await readGroup(group, options));
      yield* decodeGroup(decoder, group, step, ordinal, options);
    }
    ordinal += pieces;
  }
}

/** The row group's bytes, whose pages are sound as far as they tell. */
async function readGroup(
  group: DecodableGroup,
  { maxPageBytes, signal }: ArrowSliceOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = new Uint8Array(group.byteLength);
  let filled = 0;
  for await (const chunk of group.open(signal)) {
    file.set(chunk, filled);
    filled += chunk.byteLength;
  }
  signal?.throwIfAborted();
  assertPages(file, group, maxPageBytes);
  return file;
}

async function* decodeGroup(
  decoder: GrowingDecoder,
  group: DecodableGroup,
  step: number,
  firstOrdinal: number,
  { fromOrdinal, signal, budget }: ArrowSliceOptions,
): AsyncGenerator<Slice> {
  const skipped = Math.max(0, fromOrdinal - firstOrdinal);
  for (let piece = skipped; piece * step < group.rows; piece++) {
    const offset = piece * step;
    const rows = Math.min(step, group.rows - offset);
    const body = await decodeAt(decoder.decode(offset, rows, signal), group, offset);
    const release = await budget?.lease(body.byteLength, signal);
    yield {
      format: "ArrowStream",
      ordinal: firstOrdinal + piece,
      firstRow: group.firstRow + offset,
      rows,
      byteLength: body.byteLength,
      byteOffset: group.start,
      identity: `parquet-arrow:${createHash("sha256").update(body).digest("hex")}`,
      async *open() {
        yield body;
      },
      ...(release === undefined ? {} : { release }),
    };
  }
}

async function decodeAt(
  body: Promise<Uint8Array>,
  group: DecodableGroup,
  offset: number,
): Promise<Uint8Array> {
  try {
    return await body;
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    throw error.at({ byteOffset: group.start, row: group.firstRow + offset });
  }
}
