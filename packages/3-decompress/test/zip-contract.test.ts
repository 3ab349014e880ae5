import { StageError } from "@sluice/errors";
import { chunked, type Run, readerContract } from "@sluice/streams/testing";
import { expect } from "vitest";
import { type ArchiveOptions, openZip } from "../src/index.ts";
import { writeZip } from "./zip-writer.ts";

// The source of this stage is read at random, so the clauses stand for the same ones in a range's terms: to read the source is to
// take a piece of a range, and it is closed when every range that was begun has been let go of.

const rows = Buffer.from(
  Array.from({ length: 30_000 }, (_, i) => `${i},${(i * 7919) % 10007}\n`).join(""),
);
const sample = writeZip([
  { name: "a.csv", content: rows, method: 0 },
  { name: "in/b.csv", content: rows.subarray(0, 1024) },
]);
const broken = new StageError("fetch", "stalled", "the source broke");

function run(
  bytes: Uint8Array,
  pieceBytes: number,
  options: ArchiveOptions = {},
  breaksAt = Number.POSITIVE_INFINITY,
): Run<Uint8Array> {
  let pulled = 0;
  let open = 0;
  async function* readRange(start: number, end: number): AsyncGenerator<Uint8Array> {
    open++;
    try {
      let at = start;
      for await (const piece of chunked(bytes.subarray(start, end), pieceBytes)) {
        pulled++;
        if (start < breaksAt && at + piece.byteLength > breaksAt) throw broken;
        at += piece.byteLength;
        yield piece;
      }
    } finally {
      open--;
    }
  }
  /** The entries laid end to end, each behind its name. */
  async function* entriesInLine(): AsyncGenerator<Uint8Array> {
    for await (const entry of openZip({ size: bytes.byteLength, readRange }, options)) {
      yield Buffer.from(`\n${entry.name}:`);
      yield* entry.bytes;
    }
  }
  return { outputs: entriesInLine(), source: { pulled: () => pulled, isClosed: () => open === 0 } };
}

readerContract<Uint8Array>({
  name: "openZip",
  open: async (bytes, pieceBytes) => run(bytes, pieceBytes),
  sample,
  collect: (chunks) => Buffer.concat(chunks),
  empty: { code: "not_this_container" },
  broken: {
    open: async () => run(sample, 64, {}, sample.byteLength / 2),
    expectError: (error) => expect(error).toBe(broken),
  },
  limited: {
    open: async (pieceBytes) => run(sample, pieceBytes, { maxOutputBytes: rows.byteLength + 1023 }),
    code: "limit_exceeded",
  },
});
