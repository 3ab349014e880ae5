import type { Block } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createBlockBuffers } from "../src/blocks/block-buffers.ts";
import { parseDelimited } from "../src/index.ts";
import { COMMA, cell } from "./table.ts";

const values = ({ columns, rows }: Block): (string | null)[][] =>
  Array.from({ length: rows }, (_, row) =>
    columns.map((_, column) => cell({ columns } as Block, column, row)),
  );

test("a block keeps its cells until it is released, whatever others were released meanwhile", async () => {
  const rows = fc.array(fc.tuple(fc.stringMatching(/^[a-z]{0,30}$/), fc.boolean()), {
    minLength: 1,
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 1, max: 5 }), async (made, maxBlockRows) => {
      const text = made.map(([value], i) => `${i},${value}\n`).join("");
      const parse = parseDelimited({ ...COMMA, headerRows: 0 }, { maxBlockRows });
      const kept: [Block, (string | null)[][]][] = [];
      for await (const block of (await parse(chunked(Buffer.from(text), 50))).blocks) {
        expect(values(block)).toEqual(
          made
            .slice(block.firstRow - 1, block.firstRow - 1 + block.rows)
            .map(([value], i) => [`${block.firstRow - 1 + i}`, value === "" ? null : value]),
        );
        if (made[block.firstRow - 1]?.[1]) block.release?.();
        else kept.push([block, values(block)]);
      }
      for (const [block, before] of kept) expect(values(block)).toEqual(before);
    }),
  );
});

const blockOf = (buffer: ArrayBuffer): Omit<Block, "release"> => ({
  rows: 1,
  firstRow: 1,
  columns: [],
  byteOffsets: new Float64Array(buffer, 0, 1),
  faults: [],
});

test("the buffer of a released block is the next one's, once", () => {
  const buffers = createBlockBuffers();
  const first = buffers.take(1000);
  const block = buffers.lend(blockOf(first));
  expect(buffers.idleBytes).toBe(0);
  block.release?.();
  block.release?.();
  expect(buffers.idleBytes).toBe(first.byteLength);
  expect(buffers.take(900)).toBe(first);
  block.release?.();
  expect(buffers.idleBytes).toBe(0);
  expect(buffers.take(900)).not.toBe(first);
});

test("buffers that are too small, or come back when no block is made any more, are freed", () => {
  const buffers = createBlockBuffers();
  const small = buffers.take(1000);
  buffers.lend(blockOf(small)).release?.();
  const large = buffers.take(2000);
  expect(small.detached).toBe(true);
  const last = buffers.lend(blockOf(large));
  buffers.close();
  expect(large.detached).toBe(false);
  last.release?.();
  expect(large.detached).toBe(true);
});

test("no more is kept than the blocks of a record batch take", () => {
  const buffers = createBlockBuffers();
  const blocks = Array.from({ length: 6 }, () => buffers.lend(blockOf(buffers.take(4 * 2 ** 20))));
  for (const block of blocks) block.release?.();
  expect(buffers.idleBytes).toBeGreaterThan(12 * 2 ** 20);
  expect(buffers.idleBytes).toBeLessThanOrEqual(16 * 2 ** 20);
});
