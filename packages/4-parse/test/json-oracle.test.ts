import { isUtf8 } from "node:buffer";
import { StageError } from "@sluice/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type JsonTable, readJson } from "./json-read.ts";

type Shape = "lines" | "records" | "concatenated";

/** A JSON text and what it stands for. */
interface Written {
  readonly text: string;
  readonly value: unknown;
}

const space = (breaks: boolean) =>
  fc
    .array(fc.constantFrom(...(breaks ? [" ", "\t", "\n", "\r"] : [" ", "\t"])), { maxLength: 2 })
    .map((parts) => parts.join(""));

/** A string as JSON.stringify writes it, or with some of its units as escapes. */
const string = fc
  .tuple(
    fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 8 }),
      fc.string({ unit: "binary", maxLength: 60 }),
    ),
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 8 }),
  )
  .map(([value, ways]): Written => {
    const units = Array.from(value).map((character, at) => {
      const way = ways[at % Math.max(1, ways.length)] ?? 0;
      if (way < 2) return JSON.stringify(character).slice(1, -1);
      if (way === 2 && character === "/") return "\\/";
      return Array.from({ length: character.length }, (_, unit) => {
        const hex = character.charCodeAt(unit).toString(16).padStart(4, "0");
        return `\\u${way === 3 ? hex.toUpperCase() : hex}`;
      }).join("");
    });
    return { text: `"${units.join("")}"`, value };
  });

const scalar: fc.Arbitrary<Written> = fc.oneof(
  string,
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({
    text: Object.is(value, -0) ? "-0" : String(value),
    value,
  })),
  fc.constantFrom("0", "-0", "1e3", "1E+3", "-1.50e-7", "12345678901234567890.5").map((text) => ({
    text,
    value: Number(text),
  })),
  fc.constantFrom<Written>(
    { text: "true", value: true },
    { text: "false", value: false },
    { text: "null", value: null },
  ),
);

const KEYS = ["a", "b", "A", "__proto__", "toString", "", "é", "a.b", 'q"q', "x", "y", "z"];

/** Values of any kind with blanks between their tokens; keys may be there twice. */
const written = (breaks: boolean) => {
  const blank = space(breaks);
  return fc.letrec<{ value: Written; object: Written; array: Written }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      scalar,
      tie("object"),
      tie("array"),
    ),
    object: fc
      .array(
        fc.tuple(
          fc.oneof(fc.constantFrom(...KEYS).map(quoted), string),
          tie("value"),
          blank,
          blank,
        ),
        {
          maxLength: 5,
        },
      )
      .map((members) => {
        const text = members.map(
          ([key, { text }, one, two]) => `${one}${key.text}${two}:${one}${text}${two}`,
        );
        return {
          text: `{${text.join(",")}}`,
          value: new Map(members.map(([key, { value }]) => [key.value, value])),
        };
      }),
    array: fc.array(fc.tuple(tie("value"), blank), { maxLength: 4 }).map((elements) => ({
      text: `[${elements.map(([{ text }, one]) => `${one}${text}${one}`).join(",")}]`,
      value: elements.map(([{ value }]) => value),
    })),
  }));
};

function quoted(value: string): Written {
  return { text: JSON.stringify(value), value };
}

const FIELDS = [
  ...KEYS.map((incomingName) => ({ incomingName })),
  { incomingName: "deep", path: "x.a.b" },
  { incomingName: "first", path: "y[0]" },
  { incomingName: "second", path: "y[1].A" },
  { incomingName: "more", path: "z.a[2][0]" },
];
const PATHS: (string | number)[][] = [
  ...KEYS.map((key) => [key]),
  ["x", "a", "b"],
  ["y", 0],
  ["y", 1, "A"],
  ["z", "a", 2, 0],
];

/** What stands at a path of a value as JSON.parse reads it, by our rules for names; undefined: nothing. */
function lookUp(value: unknown, [step, ...rest]: (string | number)[]): unknown {
  if (step === undefined) return value;
  if (typeof value !== "object" || value === null) return undefined;
  if (typeof step === "number") return Array.isArray(value) ? lookUp(value[step], rest) : undefined;
  if (Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  const exact = entries.find(([name]) => name === step);
  // The text's order, which JSON.parse keeps for all names but indexes: no test has one of those here.
  const folded = entries.filter(([name]) => name.toLowerCase() === step.toLowerCase()).at(-1);
  const [, found] = exact ?? folded ?? [];
  return lookUp(found, rest);
}

/** What one cell says about the value that JSON.parse found in its place. */
function agrees(cell: string | null, value: unknown): boolean {
  if (value === undefined || value === null) return cell === null;
  if (cell === null) return false;
  if (typeof value === "string") return cell === value;
  if (typeof value === "number") return Object.is(Number(cell), value);
  if (typeof value === "boolean") return cell === String(value);
  expect(JSON.parse(cell)).toEqual(value);
  return true;
}

/** The order of members decides between spellings that differ in case, and a later twin moves no name of an object. */
function isAmbiguous(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isAmbiguous);
  if (typeof value !== "object" || value === null) return false;
  const names = Object.keys(value);
  const folded = new Set(names.map((name) => name.toLowerCase()));
  return folded.size < names.length || Object.values(value).some(isAmbiguous);
}

const shapes = fc.constantFrom<Shape>("lines", "records", "concatenated");

function join(shape: Shape, texts: readonly string[]): string {
  if (shape === "records") return `[${texts.join(",")}]`;
  return texts.map((text) => `${text}${shape === "lines" ? "\n" : ""}`).join("");
}

describe("parseJson agrees with JSON.parse", () => {
  test("about every value of random records, in every shape and whatever the chunks", async () => {
    let cells = 0;
    await fc.assert(
      fc.asyncProperty(
        shapes.chain((shape) =>
          fc.tuple(
            fc.constant(shape),
            fc.array(written(shape !== "lines").object, { maxLength: 6 }),
          ),
        ),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async ([shape, records], size, maxBlockRows) => {
          const file = join(
            shape,
            records.map(({ text }) => text),
          );
          const { rows, faults } = await readJson(file, FIELDS, {
            shape,
            size,
            limits: { maxBlockRows },
          });
          expect(faults).toEqual([]);
          expect(rows.length).toBe(records.length);
          for (const [index, { text }] of records.entries()) {
            const value: unknown = JSON.parse(text);
            if (isAmbiguous(value)) continue;
            for (const [column, path] of PATHS.entries()) {
              const cell = rows[index]?.[column] ?? null;
              const due = lookUp(value, path);
              if (!agrees(cell, due)) expect.fail(`${text} at ${path.join()}: ${cell} for ${due}`);
              cells++;
            }
          }
        },
      ),
      { numRuns: 600 },
    );
    console.log(`${cells} cells agree with JSON.parse`);
    expect(cells).toBeGreaterThan(10_000);
  }, 30_000);

  test("about the rows that an array of each record becomes", async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes.chain((shape) =>
          fc.tuple(
            fc.constant(shape),
            fc.array(
              fc.tuple(fc.array(written(shape !== "lines").value, { maxLength: 5 }), scalar),
              {
                maxLength: 4,
              },
            ),
          ),
        ),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async ([shape, records], size, maxBlockRows) => {
          const texts = records.map(
            ([elements, parent], at) =>
              `{"items":[${elements.map(({ text }) => text).join(" ,")}],"p":${parent.text},"n":${at}}`,
          );
          const { rows, faults } = await readJson(join(shape, texts), "n p e=items a=items.a", {
            shape,
            size,
            explodePath: "items",
            limits: { maxBlockRows },
          });
          expect(faults).toEqual([]);
          let row = 0;
          for (const [at, text] of texts.entries()) {
            const { items, p } = JSON.parse(text);
            for (const item of items) {
              const [n = null, parent = null, element = null, a = null] = rows[row++] ?? [];
              expect(n).toBe(String(at));
              expect(agrees(parent, p)).toBe(true);
              expect(agrees(element, item)).toBe(true);
              if (!isAmbiguous(item)) expect(agrees(a, lookUp(item, ["a"]))).toBe(true);
            }
          }
          expect(rows.length).toBe(row);
        },
      ),
      { numRuns: 250 },
    );
  }, 30_000);

  test("about which texts are JSON at all, when bytes of them are changed", async () => {
    const counts = { accepted: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(
        written(true).object,
        fc.array(
          fc.tuple(
            fc.nat(),
            fc.nat({ max: 2 }),
            fc.oneof(
              fc.constantFrom(...Buffer.from('{}[]",:\\u0eE+-. \n\ttfn1/')),
              fc.integer({ min: 0, max: 255 }),
            ),
          ),
          { minLength: 1, maxLength: 2 },
        ),
        fc.integer({ min: 1, max: 40 }),
        async ({ text }, changes, size) => {
          let bytes = Buffer.from(text);
          for (const [place, kind, byte] of changes) {
            const at = place % (bytes.length + 1);
            const behind = kind === 0 ? at : at + 1;
            const between = kind === 2 ? [] : [byte];
            bytes = Buffer.concat([
              bytes.subarray(0, at),
              Uint8Array.from(between),
              bytes.subarray(behind),
            ]);
          }
          const due = judge("[[],", bytes, "]");
          counts[due]++;
          // An array around it: what is no object is a fault, what is no JSON an error.
          const array = Buffer.concat([Buffer.from("[[],"), bytes, Buffer.from("]")]);
          for (const fields of [FIELDS, []]) {
            const answer = await settle(readJson(array, fields, { shape: "records", size }));
            expect(answer, JSON.stringify(bytes.toString())).toBe(due);
          }
          if (!bytes.some((byte) => byte === 0x0a || byte === 0x0d)) {
            const line = Buffer.concat([Buffer.from('{"a":'), bytes, Buffer.from("}\n")]);
            const answer = await settle(readJson(line, "a", { size }), 0);
            expect(answer, JSON.stringify(bytes.toString())).toBe(judge('{"a":', bytes, "}"));
          }
        },
      ),
      { numRuns: 1500 },
    );
    console.log(`changed texts: ${JSON.stringify(counts)}`);
    expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(100);
  }, 30_000);
});

/** What JSON.parse says of the bytes with the same text around them. */
function judge(before: string, bytes: Uint8Array, after: string): "accepted" | "refused" {
  if (!isUtf8(bytes)) return "refused";
  try {
    JSON.parse(before + Buffer.from(bytes).toString() + after);
    return "accepted";
  } catch {
    return "refused";
  }
}

/** With `maxFaults` faults are counted as a refusal, but for half characters, which are JSON. */
async function settle(
  reading: Promise<JsonTable>,
  maxFaults = Number.POSITIVE_INFINITY,
): Promise<"accepted" | "refused"> {
  try {
    const { faults } = await reading;
    const counted = faults.filter(({ message }) => !message.includes("half a character"));
    return counted.length > maxFaults ? "refused" : "accepted";
  } catch (error) {
    if (error instanceof StageError) return "refused";
    throw error;
  }
}
