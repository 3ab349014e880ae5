import type { Block } from "@sluice/schema";
import { Field, Schema, Uint64, Utf8 } from "apache-arrow";
import { BufferRegion, FieldNode, Message, RecordBatch } from "apache-arrow/ipc/metadata/message";
import { copyBits, countZeros } from "./bits.ts";
import { heldBy, isMostlyOf, type Piece } from "./pieces.ts";
import { createStream, pad, type Stream } from "./stream.ts";

/**
 * A record batch that is laid out but not yet written: its size is exact, so that the memory can be
 * leased first. Encapsulated messages as in "IPC Streaming Format" of the Arrow columnar format.
 */
export interface Body {
  /** Bytes of the stream. */
  readonly byteLength: number;
  /** Bytes that the written stream keeps from being freed: its own, and the blocks that it shows. */
  readonly heldBytes: number;
  /** Blocks that the stream shows as they are: they must live as long as it does. */
  readonly shown: readonly Block[];
  /** The stream in pieces. Short texts are copied, long ones are views on their blocks. */
  write(): Uint8Array[];
}

/** Shorter texts are cheaper copied than written by themselves. */
const MIN_SHOWN_BYTES = 2 ** 15;
const CONTINUATION = 0xffffffff;
const END_OF_STREAM_BYTES = 8;

/** The part of a stream that says what its columns are: equal for all batches of an entry. */
export function encodeSchema(columns: readonly number[]): Uint8Array {
  const fields = [
    ...columns.map((column) => new Field(`c${column}`, new Utf8(), true)),
    new Field("_row", new Uint64(), false),
    new Field("_offset", new Uint64(), false),
    ...["_fault_code", "_fault_message", "_fault_raw"].map(
      (name) => new Field(name, new Utf8(), true),
    ),
  ];
  return encapsulate(Message.encode(Message.from(new Schema(fields))));
}

/** Lays out the rows of the pieces as a whole stream of one record batch. */
export function layOut(
  pieces: readonly Piece[],
  columns: readonly number[],
  schema: Uint8Array,
): Body {
  const rows = pieces.reduce((sum, { from, to }) => sum + to - from, 0);
  const faults = toFaultColumns(pieces);
  const nodes: FieldNode[] = [];
  const regions: BufferRegion[] = [];
  const mostly = new Set(
    pieces.map(({ block }) => block).filter((block) => isMostlyOf(block, columns)),
  );
  const shown = new Set<Block>();
  let shownBytes = 0;
  let at = 0;
  const reserve = (bytes: number): void => {
    regions.push(new BufferRegion(at, bytes));
    at += pad(bytes);
  };
  for (const column of columns) {
    let nulls = 0;
    let bytes = 0;
    for (const { block, from, to } of pieces) {
      const { validity, offsets } = columnOf(block.columns, column);
      nulls += countZeros(validity, from, to - from);
      const length = (offsets[to] ?? 0) - (offsets[from] ?? 0);
      bytes += length;
      if (length < MIN_SHOWN_BYTES || !mostly.has(block)) continue;
      shown.add(block);
      shownBytes += length;
    }
    nodes.push(new FieldNode(rows, nulls));
    reserve(nulls === 0 ? 0 : Math.ceil(rows / 8));
    reserve((rows + 1) * 4);
    reserve(bytes);
  }
  for (let fixed = 0; fixed < 2; fixed++) {
    nodes.push(new FieldNode(rows, 0));
    reserve(0);
    reserve(rows * 8);
  }
  for (const values of faults.columns) {
    nodes.push(new FieldNode(rows, rows - faults.rows.length));
    reserve(Math.ceil(rows / 8));
    reserve((rows + 1) * 4);
    reserve(values.reduce((sum, value) => sum + value.byteLength, 0));
  }
  const batch = new RecordBatch(rows, nodes, regions, null);
  const head = encapsulate(Message.encode(Message.from(batch, at)));
  const start = schema.byteLength + head.byteLength;
  const byteLength = start + at + END_OF_STREAM_BYTES;
  const ownBytes = byteLength - shownBytes;

  return {
    byteLength,
    heldBytes: [...shown].reduce((sum, block) => sum + heldBy(block), ownBytes),
    shown: [...shown],
    write() {
      const stream = createStream(ownBytes, columns.length);
      stream.place(schema.byteLength).set(schema);
      stream.place(head.byteLength).set(head);
      let next = 0;
      const place = (): Uint8Array => stream.place(regions[next++]?.length ?? 0);
      for (const column of columns) {
        writeText(pieces, column, place(), place(), stream, shown);
        next++;
      }
      place();
      writeNumbers(pieces, place(), ({ block }, index) => block.firstRow + index);
      place();
      writeNumbers(pieces, place(), ({ block }, index) => block.byteOffsets[index] ?? 0);
      for (const values of faults.columns) {
        writeFaults(faults.rows, values, place(), place(), place());
      }
      const end = stream.place(END_OF_STREAM_BYTES);
      new DataView(end.buffer, end.byteOffset).setUint32(0, CONTINUATION, true);
      return stream.end();
    },
  };
}

function writeText(
  pieces: readonly Piece[],
  column: number,
  validity: Uint8Array,
  offsetBytes: Uint8Array,
  stream: Stream,
  shown: ReadonlySet<Block>,
): void {
  const ends = new Int32Array(offsetBytes.buffer, offsetBytes.byteOffset, offsetBytes.length / 4);
  let row = 0;
  let taken = 0;
  for (const { block, from, to } of pieces) {
    const source = columnOf(block.columns, column);
    const first = source.offsets[from] ?? 0;
    rebase(source.offsets, from, to, taken - first, ends, row + 1);
    const text = source.data.subarray(first, source.offsets[to]);
    if (text.length >= MIN_SHOWN_BYTES && shown.has(block)) stream.show(text);
    else stream.copy(text);
    if (validity.length > 0) copyBits(source.validity, from, to - from, validity, row);
    taken += text.length;
    row += to - from;
  }
  stream.pad(taken);
}

/** Writes the ends of the values `from` up to `to`, moved by `shift`. */
function rebase(
  offsets: Int32Array,
  from: number,
  to: number,
  shift: number,
  ends: Int32Array,
  at: number,
): void {
  if (shift === 0) ends.set(offsets.subarray(from + 1, to + 1), at);
  else for (let i = from + 1, k = at; i <= to; i++, k++) ends[k] = (offsets[i] as number) + shift;
}

function writeNumbers(
  pieces: readonly Piece[],
  bytes: Uint8Array,
  value: (piece: Piece, index: number) => number,
): void {
  // Two halves rather than a BigInt for each: the numbers are below 2^53.
  const halves = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let at = 0;
  for (const piece of pieces) {
    for (let index = piece.from; index < piece.to; index++) {
      const number = value(piece, index);
      halves[at++] = number >>> 0;
      halves[at++] = number / 2 ** 32;
    }
  }
}

interface FaultColumns {
  /** Rows of the batch, from 0. */
  readonly rows: readonly number[];
  /** Codes, messages and raw records of these rows. */
  readonly columns: readonly (readonly Uint8Array[])[];
}

function toFaultColumns(pieces: readonly Piece[]): FaultColumns {
  const rows: number[] = [];
  const columns: [Uint8Array[], Uint8Array[], Uint8Array[]] = [[], [], []];
  let before = 0;
  for (const { block, from, to } of pieces) {
    for (const { index, code, message, raw } of block.faults) {
      if (index < from || index >= to) continue;
      rows.push(before + index - from);
      columns[0].push(Buffer.from(code));
      columns[1].push(Buffer.from(message));
      columns[2].push(raw);
    }
    before += to - from;
  }
  return { rows, columns };
}

function writeFaults(
  rows: readonly number[],
  values: readonly Uint8Array[],
  validity: Uint8Array,
  offsetBytes: Uint8Array,
  data: Uint8Array,
): void {
  const ends = new Int32Array(offsetBytes.buffer, offsetBytes.byteOffset, offsetBytes.length / 4);
  let taken = 0;
  for (const [i, row] of rows.entries()) {
    const value = values[i] ?? new Uint8Array(0);
    data.set(value, taken);
    taken += value.byteLength;
    validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7));
    ends.fill(taken, row + 1, (rows[i + 1] ?? ends.length - 2) + 1);
    ends[ends.length - 1] = taken;
  }
}

/** Continuation, length and padding around the metadata of a message. */
function encapsulate(metadata: Uint8Array): Uint8Array {
  const length = pad(metadata.byteLength);
  const message = new Uint8Array(8 + length);
  const view = new DataView(message.buffer);
  view.setUint32(0, CONTINUATION, true);
  view.setUint32(4, length, true);
  message.set(metadata, 8);
  return message;
}

function columnOf<T>(columns: readonly T[], index: number): T {
  const column = columns[index];
  if (column === undefined) throw new RangeError(`the block has no column ${index}`);
  return column;
}
