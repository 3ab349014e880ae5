import { StageError } from "@sluice/errors";
import type { Batch, ParsedEntry } from "@sluice/schema";
import {
  free,
  type Leasing,
  type MemoryPart,
  UNCOUNTED,
  type WorkingMemory,
} from "@sluice/streams";
import { createBlockUses } from "./block-uses.ts";
import { encodeSchema, layOut } from "./body.ts";
import { bytesOf, fit, heldBy, type Piece } from "./pieces.ts";

/** Why a batch was closed: it has `maxRows`, the next row would pass `maxBytes`, or no row is left. */
export type BatchTrigger = "rows" | "bytes" | "end";

/** Where a batch ends. Workers that share the loads of one control must have the same. */
export interface BatchLimits {
  /** A batch has at most this many rows. */
  readonly maxRows: number;
  /**
   * Bytes of a batch's values and offsets, without null bitmaps and padding; only a batch of one row
   * may have more. At most 1 GiB: positions in a column are 32 bit.
   */
  readonly maxBytes: number;
}

export const BATCH_LIMITS: BatchLimits = { maxRows: 262_144, maxBytes: 16 * 2 ** 20 };

export interface BatchOptions extends Partial<BatchLimits> {
  /** The source columns to take, by index from 0, in the order wanted. */
  readonly columns: readonly number[];
  /** Every body is leased here before it is built; `release` of its batch gives it back. */
  readonly budget: Leasing;
  /** Holds the blocks that a batch is made of, until it is built. Default: nobody keeps account. */
  readonly memory?: WorkingMemory;
  /** The first batch's ordinal, where an object has entries before this one. Default 0. */
  readonly firstOrdinal?: number;
  /** Ends the waiting for the budget. */
  readonly signal?: AbortSignal;
  /** Called for each batch before it is handed on: to count what closes them. */
  readonly onBatch?: (trigger: BatchTrigger) => void;
}

const LARGEST_BYTES = 2 ** 30;

/**
 * Blocks into record batches (see `Batch` for their columns). Where one batch ends and the next begins
 * depends on the rows and the options alone: neither on time nor on where the blocks have their
 * borders. A block is released when no batch needs it any more. Closes the blocks when it is closed.
 */
export function batch(options: BatchOptions): (parsed: ParsedEntry) => AsyncIterable<Batch> {
  const { columns, budget, signal, onBatch, memory = UNCOUNTED } = options;
  const { maxRows = BATCH_LIMITS.maxRows, maxBytes = BATCH_LIMITS.maxBytes } = options;
  if (!(maxRows >= 1)) throw new RangeError(`maxRows = ${maxRows} leaves no row in a batch`);
  if (!(maxBytes >= 1 && maxBytes <= LARGEST_BYTES)) {
    throw new RangeError(`maxBytes = ${maxBytes} is not between 1 and ${LARGEST_BYTES}`);
  }

  return async function* (parsed) {
    const schema = encodeSchema(columns);
    let ordinal = options.firstOrdinal ?? 0;
    const blocks = createBlockUses();
    const gathered = memory.part(
      (message) => new StageError("parse", "record_too_large", `a record batch: ${message}`),
    );
    for await (const { pieces, trigger } of gather(parsed, columns, maxRows, maxBytes, gathered)) {
      const [first] = pieces;
      if (first === undefined) continue;
      const firstRow = first.block.firstRow + first.from;
      const rows = pieces.reduce((sum, { from, to }) => sum + to - from, 0);
      const laid = layOut(pieces, columns, schema);
      const release = await budget.lease(laid.heldBytes, signal);
      let body: Uint8Array[];
      try {
        body = laid.write();
        onBatch?.(trigger);
      } catch (error) {
        release();
        throw error;
      }
      const { shown } = laid;
      for (const block of shown) blocks.show(block);
      // What is copied must not live on while the reader has the batch.
      for (const { block, to } of pieces) if (to === block.rows) blocks.taken(block);
      pieces.length = 0;
      const releaseBody = (): void => {
        const [own] = body;
        if (own !== undefined) free(own);
        for (const block of shown) blocks.hide(block);
        release();
      };
      const { byteLength } = laid;
      yield { ordinal: ordinal++, firstRow, rows, body, byteLength, release: releaseBody };
    }
  };
}

interface Gathered {
  readonly pieces: Piece[];
  readonly trigger: BatchTrigger;
}

async function* gather(
  parsed: ParsedEntry,
  columns: readonly number[],
  maxRows: number,
  maxBytes: number,
  memory: MemoryPart,
): AsyncGenerator<Gathered> {
  let pieces: Piece[] = [];
  let held = 0;
  let rows = 0;
  let bytes = 0;
  let size = 0;
  const close = (trigger: BatchTrigger): Gathered => {
    const gathered = { pieces, trigger };
    // All blocks but the one at hand go with the batch.
    held = size;
    pieces = [];
    rows = 0;
    bytes = 0;
    return gathered;
  };
  for await (const block of parsed.blocks) {
    size = heldBy(block);
    held = pieces.length === 0 ? size : held + size;
    await memory.hold(held);
    let from = 0;
    while (from < block.rows) {
      const most = Math.min(block.rows, from + maxRows - rows);
      let to = fit({ block, from, to: most }, columns, maxBytes - bytes);
      // A row over the limit by itself still goes, alone.
      if (to === from && rows === 0) to++;
      if (to > from) {
        pieces.push({ block, from, to });
        rows += to - from;
        bytes += bytesOf({ block, from, to }, columns);
        from = to;
      }
      const trigger = rows === maxRows ? "rows" : to < most ? "bytes" : undefined;
      if (trigger === undefined) continue;
      yield close(trigger);
      // Said before the parser goes on, which may hold the buffers of released blocks for its next ones.
      held = from < block.rows ? size : 0;
      await memory.hold(held);
    }
  }
  if (rows > 0) yield close("end");
  await memory.hold(0);
}
