import { freePassed } from "@sluice/streams";
import { UTF_8 } from "../encoding/charset.ts";
import { invalid } from "../encoding/text-pieces.ts";
import type { FastRecords } from "./fast-records.ts";
import type { RecordPath } from "./record-path.ts";
import type { Account, RowSink } from "./row-sink.ts";

/** Text that saxes is given at once, at most. */
const PIECE_BYTES = 1 << 16;
const TAG_END = 0x3e;
/** What it costs that something was left to saxes, in records that were taken; and that it was given one tag more. */
const LEFT_COST = 8;
const STEP_COST = 1;
const MOST_CREDIT = 256;
const MOST_PAUSE = 64;

/**
 * Reads a document in UTF-8: records as far as `fast` is sure of them, and all that stands around them by saxes, to which it is as if the records
 * that were taken were not there. The block is full at each step.
 */
export async function* fillByBytes(
  bytes: AsyncIterable<Uint8Array>,
  fast: FastRecords,
  path: RecordPath,
  sink: RowSink,
  { memory, onRoot }: Account,
): AsyncGenerator<void> {
  const { reader } = sink;
  const read = createRead(fast, path, sink);
  const iterator = bytes[Symbol.asyncIterator]();
  let failure: { readonly error: unknown } | undefined;
  for (let isLast = false; !isLast && failure === undefined; ) {
    let chunk: Uint8Array | undefined;
    try {
      const next = await iterator.next();
      if (next.done) isLast = true;
      else chunk = next.value;
    } catch (error) {
      failure = { error };
    }
    let taken = 0;
    do {
      if (chunk !== undefined) {
        taken += fast.append(chunk.subarray(taken, taken + PIECE_BYTES), reader);
      }
      try {
        yield* read(isLast, chunk === undefined);
        await memory.hold(sink.heldBytes() + fast.bytes);
      } catch (error) {
        throw sink.inRow(error);
      } finally {
        onRoot(reader.root);
      }
    } while (chunk !== undefined && taken < chunk.byteLength);
    if (chunk !== undefined) freePassed(chunk);
  }
  if (failure !== undefined) throw sink.inRow(failure.error);
}

/** `isLast`: the document ends behind what is held; `isEnd`: nothing comes behind it, be it that the source failed. */
type Read = (isLast: boolean, isEnd: boolean) => Generator<void>;

function createRead(fast: FastRecords, path: RecordPath, sink: RowSink): Read {
  const { reader } = sink;
  let credit = MOST_CREDIT;
  /** Pieces that saxes is given whole before it is tried again. */
  let pause = 0;
  let nextPause = 1;

  const spend = (cost: number): void => {
    credit -= cost;
    if (credit > 0) return;
    credit = MOST_CREDIT;
    pause = nextPause;
    nextPause = Math.min(nextPause * 2, MOST_PAUSE);
  };
  const earn = (records: number): void => {
    if (records === 0) return;
    sink.hasRecord = true;
    credit = Math.min(MOST_CREDIT, credit + records);
    if (records >= MOST_CREDIT) nextPause = 1;
  };
  /** How much saxes is given: up to the next place where a record may begin, as far as that is easy to find. */
  const lengthFor = (held: Buffer): number => {
    const most = Math.min(held.byteLength, PIECE_BYTES);
    if (pause > 0) return most;
    const { recordName } = reader;
    const from = recordName === undefined ? 0 : held.indexOf(`</${recordName}`);
    const behind = from < 0 ? 0 : held.indexOf(TAG_END, from) + 1;
    return behind > 0 ? Math.min(behind, most) : most;
  };

  /** Gives saxes some of what is held; whether there was something. */
  function* readBySaxes(isLast: boolean): Generator<void, boolean> {
    fast.settle(reader);
    const { held, byteOffset } = fast;
    if (held.byteLength === 0) return false;
    const length = lengthFor(held);
    const isWhole = isLast && length === held.byteLength;
    const { text, taken, isInvalid } = UTF_8.decode(held.subarray(0, length), isWhole);
    let failure: { readonly error: unknown } | undefined;
    try {
      if (taken > 0) reader.write({ text, byteOffset, byteLength: taken });
    } catch (error) {
      failure = { error };
    }
    fast.drop(taken);
    if (pause > 0) pause--;
    else spend(STEP_COST);
    // Records before the failure come first: what was given must not depend on how the bytes arrive.
    yield* sink.add(reader.takeRecords());
    if (failure !== undefined) throw failure.error;
    if (isInvalid) throw invalid(UTF_8, byteOffset + taken);
    return taken > 0;
  }

  return function* read(isLast, isEnd) {
    for (;;) {
      if (pause === 0 && reader.isBetweenTags && path.holdsRecords(reader.depth)) {
        const answer = fast.take(reader, isEnd);
        earn(fast.taken);
        if (answer === "more") return;
        if (answer === "full") {
          yield;
          continue;
        }
        if (answer !== "left") {
          earn(1);
          yield* sink.add([answer]);
          continue;
        }
        spend(LEFT_COST);
      }
      if (!(yield* readBySaxes(isLast))) break;
    }
    if (!isLast) return;
    let failure: { readonly error: unknown } | undefined;
    try {
      reader.end();
    } catch (error) {
      failure = { error };
    }
    yield* sink.add(reader.takeRecords());
    if (failure !== undefined) throw failure.error;
  };
}
