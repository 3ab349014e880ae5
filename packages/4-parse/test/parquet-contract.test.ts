import { readFileSync } from "node:fs";
import { StageError } from "@sluice/errors";
import { chunked, type Run, readerContract } from "@sluice/streams/testing";
import { expect } from "vitest";
import { openParquet, type ParquetOptions } from "../src/parquet/open-parquet.ts";

// The source of this stage is read at random, so the clauses stand for the same ones in a range's terms: to read the source is to
// take a piece of a range, and it is closed when every range that was begun has been let go of.

const sample = readFileSync(new URL("parquet-files/many-row-groups.parquet", import.meta.url));
const broken = new StageError("fetch", "stalled", "the source broke");

function run(
  bytes: Uint8Array,
  pieceBytes: number,
  options: Partial<ParquetOptions> = {},
  isBroken = false,
): Run<Uint8Array> {
  let pulled = 0;
  let open = 0;
  async function* readRange(start: number, end: number): AsyncGenerator<Uint8Array> {
    open++;
    try {
      for await (const piece of chunked(bytes.subarray(start, end), pieceBytes)) {
        pulled++;
        // Behind the footer, in a row group.
        if (isBroken && start < bytes.byteLength / 2) throw broken;
        yield piece;
      }
    } finally {
      open--;
    }
  }
  /** The row groups' files laid end to end. */
  async function* units(): AsyncGenerator<Uint8Array> {
    const file = await openParquet({ size: bytes.byteLength, readRange, ...options });
    for await (const slice of file.units()) yield* slice.open();
  }
  return { outputs: units(), source: { pulled: () => pulled, isClosed: () => open === 0 } };
}

readerContract<Uint8Array>({
  name: "openParquet",
  open: async (bytes, pieceBytes) => run(bytes, pieceBytes),
  sample,
  collect: (chunks) => Buffer.concat(chunks),
  empty: { code: "malformed" },
  broken: {
    open: async () => run(sample, 64, {}, true),
    expectError: (error) => expect(error).toBe(broken),
  },
  limited: {
    open: async (pieceBytes) => run(sample, pieceBytes, { maxFooterBytes: 100 }),
    code: "record_too_large",
  },
});
