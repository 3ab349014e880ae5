import { createHash } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Block, JsonSettings, WantedField } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFastLines } from "../src/json/fast-lines.ts";
import { toFieldTrees } from "../src/json/field-tree.ts";
import { JSON_LIMITS, type JsonLimits } from "../src/json/limits.ts";
import { createLineCut } from "../src/json/lines.ts";
import { parseJson } from "../src/json/parse-json.ts";
import { createRows } from "../src/json/rows.ts";
import { createScan, NUL } from "../src/json/scan.ts";
import { append, createWindow } from "../src/window/window.ts";
import { wanted } from "./json-read.ts";

interface Reading {
  readonly fields: readonly WantedField[];
  readonly explodePath: string;
  readonly limits: Partial<JsonLimits>;
  readonly size: number;
}

/** All that comes out of a file: blocks as they are, and the findings or the error. */
interface Outcome {
  readonly blocks: readonly Block[];
  readonly end: unknown;
}

async function run(file: Uint8Array, reading: Reading, isFast: boolean): Promise<Outcome> {
  const { fields, explodePath, limits, size } = reading;
  const settings: JsonSettings = { kind: "json", shape: "lines", recordPath: "", explodePath };
  const blocks: Block[] = [];
  try {
    const parsed = await parseJson(settings, fields, { ...limits, isFast })(chunked(file, size));
    for await (const block of parsed.blocks) blocks.push(block);
    return { blocks, end: parsed.findings?.() };
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    return { blocks, end: error.toFailure() };
  }
}

/** One line for each large block: arrays of numbers are slow to compare. */
function digests({ blocks, end }: Outcome): string[] {
  const lines = blocks.map(({ columns, byteOffsets, ...rest }) => {
    const hash = createHash("sha1").update(JSON.stringify(rest)).update(byteOffsets);
    for (const { offsets, data, validity, nullCount } of columns) {
      hash.update(`${nullCount}`).update(offsets).update(data);
      if (validity !== undefined) hash.update(validity);
    }
    return hash.digest("hex");
  });
  return [...lines, JSON.stringify(end)];
}

/** How many of the file's rows are made in WebAssembly. */
function fastRows(file: Uint8Array, list: readonly WantedField[], explodePath = ""): number {
  const scan = createScan(JSON_LIMITS, true);
  const trees = toFieldTrees(list, explodePath);
  const rows = createRows(
    scan,
    trees,
    list.map(({ incomingName }) => incomingName),
  );
  const fast = createFastLines(rows, trees, JSON_LIMITS);
  if (fast === undefined) return 0;
  let taken = 0;
  const counted: typeof fast = {
    bytes: 0,
    take(window) {
      const before = rows.block.rows;
      const isFull = fast.take(window);
      taken += rows.block.rows - before;
      return isFull;
    },
    close: fast.close,
  };
  const window = createWindow(NUL);
  append(window, file);
  window.isLast = true;
  expect(createLineCut(scan, rows, [], counted)(window)).toBe(false);
  fast.close();
  return taken;
}

const VALUES = [
  "1",
  "-0",
  "12345678901234567890.5e-7",
  "1E+3",
  "true",
  "false",
  "null",
  '""',
  '"x"',
  '"a text that is longer than sixteen bytes, and longer than thirty-two"',
  '"é ü 漢字 😀"',
  '"q\\"q\\\\ \\/ \\b\\f\\n\\r\\t"',
  '"\\u00e9\\u6f22\\ud83d\\ude00"',
  '"\\ud800"',
  '"0123456789abcde"',
  '"0123456789abcdef"',
  '"0123456789abcde\\n"',
  "{}",
  "[]",
  '{"b":1,"c":"x"}',
  '{ "b" : [1, {"c": null}] , "c" : {"d":"e"} }',
  '[{"b":1},{"b":"two","c":3},{"c":null}]',
  '[1, "x", null, [2]]',
  '{"b":1,"b":2}',
  '{"B":1,"b":2}',
  '{"b":1,"B":2}',
  // What breaks the grammar.
  "01",
  "1.",
  "-",
  "nul",
  "truex",
  '"\t"',
  '"\\x"',
  '"\\u12g4"',
  "[1,]",
  '{"b"}',
  '{"b":1,}',
  "NaN",
  "1 2",
];
const SOUND = VALUES.indexOf("01");
const KEYS = ["a", "b", "A", "rows", "x", "a long key of over sixteen bytes", "é", "\\u0061"];

/** Lines that look like one another, but for a member here and there. */
const lines = fc
  .tuple(
    fc.uniqueArray(
      fc.tuple(
        fc.constantFrom(...KEYS),
        fc.nat({ max: SOUND - 1 }),
        fc.constantFrom("", " ", "\t"),
      ),
      { minLength: 1, maxLength: 5, selector: ([key]) => key },
    ),
    fc.array(
      fc.record({
        change: fc.oneof(
          { weight: 6, arbitrary: fc.constant("none") },
          { weight: 1, arbitrary: fc.constantFrom("leave out", "twice", "swap", "name", "break") },
        ),
        at: fc.nat({ max: 4 }),
        values: fc.array(fc.nat({ max: SOUND - 1 }), { maxLength: 5 }),
        bad: fc.integer({ min: SOUND, max: VALUES.length - 1 }),
        end: fc.constantFrom("\n", "\n", "\n", "\r\n", "\r", " \n", "\n\n \t\n", ",\n", "{}\n"),
      }),
      { minLength: 2, maxLength: 30 },
    ),
  )
  .map(([shape, changes]) =>
    changes
      .map(({ change, at, values, bad, end }) => {
        const members = shape.map(([key, value, space], i) => [
          key,
          VALUES[values[i] ?? value] ?? "",
          space,
        ]);
        const place = at % members.length;
        const member = members[place] ?? [];
        if (change === "leave out") members.splice(place, 1);
        else if (change === "twice") members.push(member);
        else if (change === "swap") members.reverse();
        else if (change === "name") member[0] = `new${at}`;
        else if (change === "break") member[1] = VALUES[bad] ?? "";
        const written = members.map(
          ([key, value, space]) => `${space}"${key}"${space}:${space}${value}${space}`,
        );
        return `{${written.join(",")}}${change === "none" || change === "break" ? (end === "{}\n" && at > 0 ? "\n" : end) : "\n"}`;
      })
      .join(""),
  );

const FIELDS = [
  "a b",
  "b x=rows.b",
  "c=a.b d=a.c b",
  "rows a",
  "a=rows.b e=rows.c b é",
  "a w=rows[0].b",
  // Fields that overlap: a row has more bytes than its record.
  "a c=a.b b rows x=rows.b",
];
const WHOLE: readonly WantedField[] = [
  { incomingName: "_record", path: "" },
  ...wanted("a b x=a.c"),
];

describe("lines taken in WebAssembly", () => {
  test("give the same blocks, faults, findings and errors as in JavaScript", async () => {
    let rows = 0;
    await fc.assert(
      fc.asyncProperty(
        lines,
        fc.constantFrom(...FIELDS.map(wanted), WHOLE),
        fc.constantFrom("", "", "rows", "a"),
        fc.record({
          maxRecordBytes: fc.constantFrom(40, 90, 10_000),
          maxValueBytes: fc.constantFrom(30, 10_000),
          maxRowBytes: fc.constantFrom(20, 60, 10_000),
          maxExplodedBytes: fc.constantFrom(40, 10_000),
          maxKeyBytes: fc.constantFrom(6, 1000),
          maxKeys: fc.constantFrom(3, 1000),
          maxDepth: fc.constantFrom(2, 3, 256),
          maxBlockRows: fc.constantFrom(1, 2, 7, 100),
          maxBlockBytes: fc.constantFrom(60, 300, 100_000),
        }),
        fc.boolean(),
        fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant(100_000)),
        fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
          freq: 4,
          nil: undefined,
        }),
        async (text, fields, explodePath, limits, isLimited, size, change) => {
          const file = Buffer.from(text);
          if (change !== undefined) file[change[0] % file.length] = change[1];
          const { maxBlockRows, maxBlockBytes } = limits;
          const given = isLimited ? limits : { maxBlockRows, maxBlockBytes };
          const reading = { fields, explodePath, limits: given, size };
          expect(await run(file, reading, true)).toEqual(await run(file, reading, false));
          if (explodePath === "" && change === undefined) rows += fastCount(file, fields);
        },
      ),
      { numRuns: 3000 },
    );
    console.log(`${rows} rows made in WebAssembly`);
    expect(rows).toBeGreaterThan(500);
  }, 60_000);

  function fastCount(file: Uint8Array, fields: readonly WantedField[]): number {
    try {
      return fastRows(file, fields);
    } catch (error) {
      if (error instanceof StageError) return 0;
      throw error;
    }
  }

  test("are all but the first of lines that are alike", () => {
    const file = Buffer.from('{"a":1,"b":{"c":"x"},"d":[1,{"e":2}]}\n'.repeat(20_000));
    expect(fastRows(file, wanted("a c=b.c d"))).toBeGreaterThan(19_000);
  });

  test("are those with members left out, in another order, or with escapes too", () => {
    const some = '{"a":1,"b":"x","c":3}\n{"a":1,"c":3}\n{"c":"\\n","a":null}\n{}\n';
    expect(fastRows(Buffer.from(some.repeat(1000)), wanted("a b c"))).toBeGreaterThan(3990);
  });

  test("are rows of exploded arrays too, with what stands beside them", () => {
    const some = '{"id":1,"rows":[{"a":1},{"a":"\\u00e9"}],"n":"\\n"}\n{"id":2,"rows":[]}\n';
    expect(
      fastRows(Buffer.from(some.repeat(1000)), wanted("id n a=rows.a"), "rows"),
    ).toBeGreaterThan(1990);
  });

  test("are none where a value goes to two fields", () => {
    const file = Buffer.from('{"a":1}\n'.repeat(100));
    expect(fastRows(file, wanted("a b=a"))).toBe(0);
  });

  test("are blocks of a mebibyte as in JavaScript, over many calls", async () => {
    const line = (i: number): string =>
      `{"id":${i},"name":"${"n".repeat(i % 300)}","list":[${"1,".repeat(i % 7)}2],"deep":{"x":${i % 5 === 0 ? "null" : `"${"é".repeat(i % 90)}"`}}}\n`;
    const file = Buffer.from(Array.from({ length: 30_000 }, (_, i) => line(i)).join(""));
    const fields = wanted("id name list x=deep.x missing");
    for (const size of [65_536, 1_000_003, file.length]) {
      for (const explodePath of ["", "list"]) {
        const reading = { fields, explodePath, limits: {}, size };
        const fast = digests(await run(file, reading, true));
        expect(fast.length).toBeGreaterThan(3);
        expect(fast).toEqual(digests(await run(file, reading, false)));
      }
    }
  }, 30_000);
});
