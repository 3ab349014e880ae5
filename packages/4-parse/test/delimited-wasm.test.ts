import { StageError } from "@sluice/errors";
import type { Block, DelimitedSettings } from "@sluice/schema";
import { UNCOUNTED } from "@sluice/streams";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parserMemory } from "../src/blocks/held-memory.ts";
import { type Cutter, createBlockCutter } from "../src/csv/cutter.ts";
import { LF, toDialect } from "../src/csv/dialect.ts";
import { DELIMITED_LIMITS, type DelimitedLimits } from "../src/csv/limits.ts";
import { createTokenise } from "../src/csv/tokenise.ts";
import { createWasmCutter, isForWasm } from "../src/csv/tokenise-by-wasm.ts";
import { createReader } from "../src/window/reader.ts";
import { COMMA, cell } from "./table.ts";

/** Everything that a cutter says of a file: its blocks, cell by cell, and how it ended. */
async function cut(cutter: Cutter, bytes: Uint8Array, size: number): Promise<unknown[]> {
  const { maxRecordBytes } = DELIMITED_LIMITS;
  const memory = parserMemory(UNCOUNTED);
  const options = { sentinel: LF, maxCarryBytes: maxRecordBytes, memory };
  const reader = createReader(chunked(bytes, size), options);
  const { window } = reader;
  const said: unknown[] = [];
  try {
    for (;;) {
      const isFull = cutter.tokenise(window, cutter.block, window.isLast);
      said.push(cutter.block.rows, window.base + window.start);
      if (isFull) said.push(plain(cutter.take()));
      else if (window.isLast) break;
      else await reader.more();
    }
    if (cutter.block.rows > 0) said.push(plain(cutter.take()));
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    said.push(error.toFailure(), cutter.block.rows, window.base + window.start);
  } finally {
    cutter.close();
  }
  return said;
}

function plain(block: Block): unknown {
  const { rows, firstRow, columns, byteOffsets, faults } = block;
  const cells = columns.map((_, column) =>
    Array.from({ length: rows }, (_, row) => cell(block, column, row)),
  );
  // A cell that was null in a record that was given up leaves bits that say nothing.
  const bits = columns.map(({ validity, nullCount }) => [
    nullCount,
    nullCount === 0 ? [] : Array.from(validity ?? []),
  ]);
  return { rows, firstRow, cells, bits, byteOffsets: Array.from(byteOffsets), faults };
}

/** What both make of the same bytes, in chunks of the same size. */
async function both(
  settings: DelimitedSettings,
  limits: DelimitedLimits,
  width: number,
  bytes: Uint8Array,
  size: number,
): Promise<readonly [wasm: unknown[], oracle: unknown[]]> {
  const dialect = toDialect(settings);
  expect(isForWasm(dialect, limits)).toBe(true);
  const wasm = createWasmCutter(dialect, limits, width);
  const oracle = createBlockCutter(createTokenise(dialect, limits), width);
  return [await cut(wasm, bytes, size), await cut(oracle, bytes, size)];
}

const settings = fc
  .record({
    delimiter: fc.constantFrom(",", ";", "\t", "\0", "x", "\x7f"),
    quote: fc.constantFrom('"', "'", ""),
    escape: fc.constantFrom("quote", "\\", ""),
    nullText: fc.constantFrom("", "NULL", "\\N", "7", "a null text of more than sixteen bytes"),
  })
  .map(({ escape: mark, ...marks }): DelimitedSettings => {
    const isQuote = mark === "quote" || marks.quote === "";
    return { ...COMMA, ...marks, escape: isQuote ? marks.quote : mark };
  });

const smallLimits = fc
  .record({
    maxFieldBytes: fc.constantFrom(3, 20, 2 ** 20),
    maxRecordBytes: fc.constantFrom(10, 60, 2 ** 20),
    maxBlockRows: fc.constantFrom(1, 2, 7, 65_536),
    maxBlockBytes: fc.constantFrom(1, 30, 100, 2 ** 20),
  })
  .map((limits) => ({ ...DELIMITED_LIMITS, ...limits }));

/** Bytes that mean something in one dialect or another, in no order; and runs that fill whole vectors. */
const pieces = fc.constantFrom(
  ...[",", ",", ";", "\t", '"', '"', '""', "'", "\\", "\n", "\n", "\r\n", "\r", "\0", "x", "\x7f"],
  ...["NULL", "\\N", "7", "a", "é", "名", "a null text of more than sixteen bytes"],
  ...["y".repeat(15), "y".repeat(16), "z".repeat(17), "z".repeat(33), "y".repeat(300)],
);
const noise = fc
  .array(pieces, { maxLength: 60, size: "max" })
  .map((parts) => Buffer.from(parts.join("")));

/** Tables of which most records are whole. */
const table = fc
  .array(
    fc.tuple(
      fc.array(fc.oneof(fc.string({ maxLength: 20 }), fc.constant("NULL")), {
        minLength: 3,
        maxLength: 3,
      }),
      fc.constantFrom("\n", "\r\n", "\r", "\n\n", " \n"),
      fc.nat(7),
    ),
    { maxLength: 80, size: "max" },
  )
  .map((records) =>
    records
      .map(([values, lineEnd, quoted]) => {
        const written = values.map((value, i) =>
          quoted & (1 << i)
            ? `"${value.replaceAll('"', '""')}"`
            : value.replaceAll(/[",;\t\r\n\0'\\x]/g, ""),
        );
        return written.join(",") + lineEnd;
      })
      .join(""),
  )
  .map((text) => Buffer.from(text));

const width = fc.constantFrom(1, 2, 3, 9);
const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(2 ** 20));

describe("the tokeniser in WebAssembly says what the one in JavaScript says", () => {
  test("of noise, in any dialect, chunks and limits", async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        smallLimits,
        width,
        noise,
        size,
        async (...[set, limits, columns, bytes, chunk]) => {
          const [wasm, oracle] = await both(set, limits, columns, bytes, chunk);
          expect(wasm).toEqual(oracle);
        },
      ),
      { numRuns: 4000 },
    );
  });

  test("of tables, in any chunks and limits", async () => {
    await fc.assert(
      fc.asyncProperty(smallLimits, table, size, async (limits, bytes, chunk) => {
        const [wasm, oracle] = await both(COMMA, limits, 3, bytes, chunk);
        expect(wasm).toEqual(oracle);
      }),
      { numRuns: 1500 },
    );
  });

  test("of one text cut at every place", async () => {
    const text = 'a,"b ""c""\r\n, d",\r\n\r\n"x"y,1,2\r1,2\n,NULL,"NULL"\n"é",名,"\\"""\n7,8,9';
    const bytes = Buffer.from(text);
    for (let chunk = 1; chunk <= bytes.length; chunk++) {
      const [wasm, oracle] = await both(COMMA, DELIMITED_LIMITS, 3, bytes, chunk);
      expect(wasm, `chunks of ${chunk}`).toEqual(oracle);
    }
  });

  test("of bytes that are no text, and of a file of all 256", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        width,
        size,
        async (bytes, columns, chunk) => {
          const [wasm, oracle] = await both(COMMA, DELIMITED_LIMITS, columns, bytes, chunk);
          expect(wasm).toEqual(oracle);
        },
      ),
    );
  });

  test("of many blocks, of many columns, and of values beyond the room it begins with", async () => {
    const row = (i: number, columns: number): string =>
      Array.from({ length: columns }, (_, c) => ((i + c) % 5 === 0 ? "" : `${i * c}`)).join(",");
    const lines = (count: number, columns: number): string =>
      Array.from({ length: count }, (_, i) => row(i, columns)).join("\n");
    const long = `1,2\n"${'l""ng\n'.repeat(500_000)}",${"x".repeat(3 * 2 ** 20)}\n3,4\n`;
    const cases = [
      [lines(150_000, 3), 3],
      [lines(1500, 400), 400],
      [long + lines(20_000, 2), 2],
    ] as const;
    for (const [text, columns] of cases) {
      const limits = { ...DELIMITED_LIMITS, maxBlockCells: 200_000 };
      const [wasm, oracle] = await both(COMMA, limits, columns, Buffer.from(text), 65_536);
      expect(wasm.length).toBe(oracle.length);
      for (const [i, said] of wasm.entries()) expect(said).toEqual(oracle[i]);
    }
  });
});

test("marks of several bytes, own line ends and comments are left to the others", () => {
  for (const more of [
    { delimiter: "||" },
    { quote: "«", escape: "«" },
    { escape: "€" },
    { recordDelimiter: ";" },
    { comment: "#" },
    { quote: "", escape: "\\" },
  ]) {
    expect(isForWasm(toDialect({ ...COMMA, ...more }), DELIMITED_LIMITS)).toBe(false);
  }
});
