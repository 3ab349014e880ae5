import { StageError } from "@sluice/errors";
import type { Block, JsonSettings } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonLimits } from "../src/json/limits.ts";
import { parseJson } from "../src/json/parse-json.ts";
import { wanted } from "./json-read.ts";

/** All that comes out of a file: blocks as they are, and the findings or the error. */
interface Outcome {
  readonly blocks: readonly Block[];
  readonly end: unknown;
}

async function run(
  file: Uint8Array,
  settings: JsonSettings,
  limits: Partial<JsonLimits>,
  size: number,
): Promise<Outcome> {
  const blocks: Block[] = [];
  const fields = wanted("a b c=a.b d=a e=rows.a f=rows[1]");
  try {
    const parsed = await parseJson(settings, fields, limits)(chunked(file, size));
    for await (const block of parsed.blocks) blocks.push(block);
    return { blocks, end: parsed.findings?.() };
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    return { blocks, end: error.toFailure() };
  }
}

const piece = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .constantFrom(
        '{"a":1,"b":"x"}',
        '{"a":{"b":2,"rows":[1]},"b":[1,{"é":"\\u00e9\\ud83d\\ude00"}]}',
        '{"rows":[{"a":1},{"a":"é","b":-1.5e3,"a":2},7]}',
        '{"data":{"rows":[{"a":true}]}}',
        '[{"a":1},{"A":null},3]',
        '{"a":"\\ud800"}',
        '{"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}',
        '{"a":[[[[[[[[]]]]]]]]}',
        '{"a":12345678901234567890123456789012345}',
      )
      .map((text) => Buffer.from(text)),
  },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom("\n", "\r\n", "\r", " ", "\n\n", ",", "")
      .map((text) => Buffer.from(text)),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        "\\",
        "nul",
        "1",
        "-",
        "\u0000",
        "\uFEFF",
        '{"a":',
        "é",
      )
      .map((text) => Buffer.from(text)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      Buffer.of(0xc3),
      Buffer.of(0xff),
      Buffer.of(0xa9),
      Buffer.from('{"x":"\xff"}', "latin1"),
      Buffer.from('{"\xe9":1,"rows":[]}', "latin1"),
    ),
  },
);

test("parseJson gives the same blocks, findings and errors whatever the chunks are", async () => {
  const seen = { whole: 0, refused: 0, rows: 0, faults: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 14 }),
      fc.boolean(),
      fc.record({
        kind: fc.constant("json" as const),
        shape: fc.constantFrom("lines" as const, "records" as const, "concatenated" as const),
        recordPath: fc.constantFrom("", "", "rows", "data.rows"),
        explodePath: fc.constantFrom("", "", "rows", "a"),
      }),
      fc.record({
        maxRecordBytes: fc.constantFrom(10, 30, 50, 1000),
        maxValueBytes: fc.constantFrom(10, 30, 1000),
        maxRowBytes: fc.constantFrom(20, 1000),
        maxExplodedBytes: fc.constantFrom(20, 1000),
        maxKeyBytes: fc.constantFrom(3, 1000),
        maxKeys: fc.constantFrom(2, 1000),
        maxDepth: fc.constantFrom(4, 256),
        maxBlockRows: fc.constantFrom(1, 2, 100),
        maxBlockBytes: fc.constantFrom(40, 1000),
      }),
      fc.integer({ min: 2, max: 30 }),
      async (pieces, isArray, settings, limits, size) => {
        const inner = isArray
          ? pieces.flatMap((part) => [part, Buffer.from(",")]).slice(0, -1)
          : pieces;
        const file = Buffer.concat(
          isArray ? [Buffer.from("["), ...inner, Buffer.from("]")] : inner,
        );
        const whole = await run(file, settings, limits, Math.max(1, file.length));
        expect(await run(file, settings, limits, 1)).toEqual(whole);
        expect(await run(file, settings, limits, size)).toEqual(whole);
        seen[whole.end !== undefined && "code" in (whole.end as object) ? "refused" : "whole"]++;
        for (const { rows, faults } of whole.blocks) {
          seen.rows += rows;
          seen.faults += faults.length;
        }
      },
    ),
    { numRuns: 1000 },
  );
  console.log(JSON.stringify(seen));
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(100);
}, 30_000);
