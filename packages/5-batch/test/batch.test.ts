import type { Batch, Block, ParsedEntry } from "@sluice/schema";
import { createByteBudget } from "@sluice/streams";
import { probe } from "@sluice/streams/testing";
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BatchOptions, type BatchTrigger, batch } from "../src/index.ts";
import { offsetOf, type Row, toEntry } from "./blocks.ts";

const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: "grapheme", maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constant(null) },
);
const row: fc.Arbitrary<Row> = fc.oneof(
  { weight: 9, arbitrary: fc.tuple(text, text, text) },
  { weight: 1, arbitrary: fc.record({ fault: fc.string({ minLength: 1, maxLength: 20 }) }) },
);
const table = fc.array(row, { minLength: 1, maxLength: 90 });

function options(more: Partial<BatchOptions> = {}): BatchOptions {
  return { columns: [0, 1, 2], budget: createByteBudget(2 ** 30), ...more };
}

function expected(rows: readonly Row[], columns: readonly number[], before: number): unknown[] {
  return rows.map((row, i) => ({
    ...Object.fromEntries(columns.map((c) => [`c${c}`, "fault" in row ? null : row[c]])),
    _row: BigInt(before + i + 1),
    _offset: BigInt(offsetOf(before + i)),
    _fault_code: "fault" in row ? "malformed" : null,
    _fault_message: "fault" in row ? row.fault : null,
    _fault_raw: "fault" in row ? `<${row.fault}>` : null,
  }));
}

const read = (body: readonly Uint8Array[]): unknown[] =>
  tableFromIPC(Buffer.concat(body))
    .toArray()
    .map((r) => r?.toJSON());

describe("batch", () => {
  test("gives bodies that Arrow's own reader reads back, value for value", async () => {
    await fc.assert(
      fc.asyncProperty(
        table,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 70 }),
        fc.subarray([0, 1, 2]),
        async (rows, blockRows, maxRows, columns) => {
          let before = 0;
          const run = batch(options({ columns, maxRows }))(toEntry(rows, 3, blockRows));
          for await (const { body, firstRow, rows: count, ordinal } of run) {
            expect(firstRow).toBe(before + 1);
            expect(ordinal).toBe(Math.floor(before / maxRows));
            expect(read(body)).toEqual(
              expected(rows.slice(before, before + count), columns, before),
            );
            before += count;
          }
          expect(before).toBe(rows.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("releases each block once, and not before all of its rows are in bodies", async () => {
    await fc.assert(
      fc.asyncProperty(
        table,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 50 }),
        async (rows, blockRows, maxRows) => {
          const released = new Map<number, number>();
          const { columns, blocks } = toEntry(rows, 3, blockRows);
          const spoiled = async function* (): AsyncGenerator<Block> {
            for await (const block of blocks) {
              const release = (): void => {
                released.set(block.firstRow, (released.get(block.firstRow) ?? 0) + 1);
                block.byteOffsets.fill(7);
                for (const { offsets, data } of block.columns) {
                  offsets.fill(0);
                  data.fill(0x21);
                }
              };
              yield { ...block, release };
            }
          };
          const bodies = async (entry: ParsedEntry): Promise<Uint8Array[]> =>
            (await Array.fromAsync(batch(options({ maxRows }))(entry))).map(({ body }) =>
              Buffer.concat(body),
            );
          const kept = await bodies(toEntry(rows, 3, blockRows));
          expect(await bodies({ columns, blocks: spoiled() })).toEqual(kept);
          expect(released.size).toBe(Math.ceil(rows.length / blockRows));
          expect(new Set(released.values())).toEqual(new Set([1]));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("frees a body when it is released", async () => {
    for await (const { body, release } of batch(options())(toEntry([["a", "b", "c"]], 3, 1))) {
      release();
      expect(body.map(({ byteLength }) => byteLength)).toEqual([0]);
    }
  });

  test("shows long texts as they stand in their blocks, which live as long as a batch shows them", async () => {
    const rows: Row[] = Array.from({ length: 6 }, (_, i) => [`${i}`.repeat(40_000), "b", null]);
    const { columns, blocks } = toEntry(rows, 3, 4);
    const released: number[] = [];
    async function* watched(): AsyncGenerator<Block> {
      for await (const block of blocks) {
        yield { ...block, release: () => void released.push(block.firstRow) };
      }
    }
    const budget = createByteBudget(2 ** 30);
    const run = batch(options({ budget, maxRows: 3 }))({ columns, blocks: watched() });
    const [first, second] = await Array.fromAsync(run);
    if (first === undefined || second === undefined) throw new Error("two batches were due");
    for (const [at, { body, byteLength }] of [first, second].entries()) {
      expect(body.length).toBeGreaterThan(1);
      expect(body.reduce((sum, piece) => sum + piece.byteLength, 0)).toBe(byteLength);
      const from = at * 3;
      expect(read(body)).toEqual(expected(rows.slice(from, from + 3), [0, 1, 2], from));
    }
    expect(budget.used).toBeGreaterThan(first.byteLength + second.byteLength);
    first.release();
    expect(released).toEqual([]);
    second.release();
    expect(released).toEqual([1, 5]);
    expect(budget.used).toBe(0);
  });

  test("draws the same borders and builds the same bytes wherever the blocks have theirs", async () => {
    await fc.assert(
      fc.asyncProperty(
        table,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 1500 }),
        async (rows, blockRows, maxRows, maxBytes) => {
          const bodies = async (size: number): Promise<Uint8Array[]> =>
            (
              await Array.fromAsync(batch(options({ maxRows, maxBytes }))(toEntry(rows, 3, size)))
            ).map(({ body }) => Buffer.concat(body));
          expect(await bodies(blockRows)).toEqual(await bodies(rows.length));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("closes by rows, by bytes and at the end, and says which", async () => {
    const triggers: BatchTrigger[] = [];
    const onBatch = (trigger: BatchTrigger): void => void triggers.push(trigger);
    const short: Row[] = Array.from({ length: 4 }, () => ["a", "b", "c"]);
    const long: Row[] = Array.from({ length: 2 }, () => ["x".repeat(300), null, null]);
    const run = batch(options({ maxRows: 3, maxBytes: 400, onBatch }));
    const batches = await Array.fromAsync(run(toEntry([...short, ...long], 3, 100)));
    expect(batches.map(({ rows }) => rows)).toEqual([3, 2, 1]);
    expect(triggers).toEqual(["rows", "bytes", "end"]);
  });

  test("lets a row that is over the byte limit go alone", async () => {
    const rows: Row[] = [["a"], ["x".repeat(900)], ["b"]];
    const batches = await Array.fromAsync(
      batch(options({ columns: [0], maxBytes: 100 }))(toEntry(rows, 1, 10)),
    );
    expect(batches.map(({ rows }) => rows)).toEqual([1, 1, 1]);
  });

  test("leases a body's exact bytes before building it, and gives them back by release", async () => {
    const budget = createByteBudget(2 ** 20);
    const rows: Row[] = Array.from({ length: 10 }, () => ["a", "b", "c"]);
    const batches: Batch[] = [];
    for await (const one of batch(options({ budget, maxRows: 5 }))(toEntry(rows, 3, 4))) {
      batches.push(one);
      expect(budget.used).toBe(batches.reduce((sum, { byteLength }) => sum + byteLength, 0));
    }
    for (const { release } of batches) release();
    expect(budget.used).toBe(0);
  });

  test("waits for the budget and goes on when bytes come back", async () => {
    const budget = createByteBudget(1);
    const rows: Row[] = Array.from({ length: 10 }, () => ["a", "b", "c"]);
    const run = batch(options({ budget, maxRows: 5 }))(toEntry(rows, 3, 10))[
      Symbol.asyncIterator
    ]();
    const first = await run.next();
    let arrived = false;
    const second = run.next().then((next) => {
      arrived = true;
      return next;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(arrived).toBe(false);
    first.value.release();
    expect((await second).value.ordinal).toBe(1);
  });

  test("stops waiting for the budget when it is aborted, and closes the blocks", async () => {
    const budget = createByteBudget(1);
    await budget.lease(1);
    const abort = new AbortController();
    const entry = toEntry([["a"]], 1, 1);
    const blocks = probe(entry.blocks);
    const run = batch(options({ columns: [0], budget, signal: abort.signal }))({
      ...entry,
      blocks,
    });
    const first = run[Symbol.asyncIterator]().next();
    abort.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
    expect(blocks.closed).toBe(true);
  });

  test("closes the blocks when its reader stops early", async () => {
    const entry = toEntry(
      Array.from({ length: 20 }, () => ["a"]),
      1,
      2,
    );
    const blocks = probe(entry.blocks);
    for await (const _ of batch(options({ columns: [0], maxRows: 3 }))({ ...entry, blocks })) break;
    expect(blocks.closed).toBe(true);
    expect(blocks.pulled).toBe(2);
  });

  test("passes on the parser's error as it is", async () => {
    const broken = new Error("the parser broke");
    const entry = toEntry([["a"]], 1, 1);
    const blocks = (async function* () {
      yield* entry.blocks;
      throw broken;
    })();
    const run = Array.fromAsync(batch(options({ columns: [0] }))({ ...entry, blocks }));
    await expect(run).rejects.toBe(broken);
  });

  test("gives no batch for an entry without rows", async () => {
    expect(await Array.fromAsync(batch(options())(toEntry([], 3, 1)))).toEqual([]);
  });

  test("refuses limits that a column's 32-bit positions could not hold", () => {
    expect(() => batch(options({ maxBytes: 2 ** 31 }))).toThrow("maxBytes");
    expect(() => batch(options({ maxRows: 0 }))).toThrow("maxRows");
  });
});
