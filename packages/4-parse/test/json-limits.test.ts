import { describe, expect, test } from "vitest";
import type { JsonLimits } from "../src/json/limits.ts";
import { type Reading, readJson } from "./json-read.ts";

/** What a file that is over a limit, or at most at it, ends in. */
async function outcome(text: string, fields: string, reading: Reading): Promise<string> {
  try {
    const { faults, rows } = await readJson(text, fields, reading);
    const [fault] = faults;
    if (fault === undefined) return `${rows.length} rows`;
    expect(fault.code).toBe("record_too_large");
    return `fault: ${fault.message}`;
  } catch (error) {
    expect(error).toMatchObject({
      code: "record_too_large",
      coordinate: { byteOffset: expect.any(Number) },
    });
    return `error: ${(error as { rawMessage: string }).rawMessage}`;
  }
}

interface Case {
  readonly option: keyof JsonLimits;
  /** A record that has as much of what is limited as it is told. */
  readonly record: (amount: number) => string;
  readonly fields?: string;
  readonly reading?: Reading;
  /** Whether a line over the limit ends the file too. */
  readonly isFatal?: boolean;
}

const CASES: Readonly<Record<string, Case>> = {
  "depth of a value that no field takes": {
    option: "maxDepth",
    record: (depth) => `{"x":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`,
  },
  "depth of a value on a field's way": {
    option: "maxDepth",
    record: (depth) => `${'{"x":'.repeat(depth)}1${"}".repeat(depth)}`,
    fields: `a=${Array.from({ length: 11 }, () => "x").join(".")}`,
  },
  "depth of elements on a field's way": {
    option: "maxDepth",
    record: (depth) => `{"x":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`,
    fields: `a=x${"[0]".repeat(12)}`,
  },
  "bytes of a key of the record": {
    option: "maxKeyBytes",
    record: (length) => `{"${"k".repeat(length)}":1}`,
  },
  "bytes of a key inside of a value that no field takes": {
    option: "maxKeyBytes",
    record: (length) => `{"x":[{"${"é".repeat(length / 2)}${"k".repeat(length % 2)}":1}]}`,
  },
  "members of the record": {
    option: "maxKeys",
    record: (count) => `{${Array.from({ length: count }, (_, i) => `"${i}":1`).join(",")}}`,
  },
  "members, though they have one name": {
    option: "maxKeys",
    record: (count) => `{${Array.from({ length: count }, () => `"a":1`).join(",")}}`,
  },
  "members of an object that no field takes": {
    option: "maxKeys",
    record: (count) => `{"x":[{${Array.from({ length: count }, () => `"a":1`).join(",")}}]}`,
  },
  "bytes of a string that a field takes": {
    option: "maxValueBytes",
    record: (length) => `{"a":"${"x".repeat(length)}"}`,
  },
  "bytes of a string that no field takes": {
    option: "maxValueBytes",
    record: (length) => `{"x":["${"\\n".repeat(length / 2)}${"x".repeat(length % 2)}"]}`,
  },
  "bytes of a number": {
    option: "maxValueBytes",
    record: (length) => `{"a":-${"1".repeat(length - 1)}}`,
  },
  "bytes of an object that becomes a cell": {
    option: "maxValueBytes",
    record: (length) => `{"a":{"b":${"1".repeat(length - 6)}}}`,
  },
  "bytes of an array that becomes a cell": {
    option: "maxValueBytes",
    record: (length) => `{"a":[${"1".repeat(length - 2)}]}`,
  },
  "bytes of a record": {
    option: "maxRecordBytes",
    record: (length) => `{"a":${" ".repeat(length - 7)}1}`,
  },
  "bytes of a row": {
    option: "maxRowBytes",
    record: (length) => `{"a":"${"x".repeat(length - 4)}","b":1234}`,
    fields: "a b",
  },
  "bytes of a row in whose cells one value stands twice": {
    option: "maxRowBytes",
    record: (length) => `{"a":"${"x".repeat(length / 2)}","b":${length % 2 ? "1" : '""'}}`,
    fields: "a c=a b",
  },
  "bytes of a row that an element gives": {
    option: "maxRowBytes",
    record: (length) => `{"p":"${"x".repeat(length - 1)}","i":[1]}`,
    fields: "p i",
    reading: { explodePath: "i" },
    isFatal: true,
  },
  "bytes of the rows of one record": {
    option: "maxExplodedBytes",
    record: (length) => `{"p":"xx","i":[1,2,${"3".repeat(length - 8)}]}`,
    fields: "p i",
    reading: { explodePath: "i" },
    isFatal: true,
  },
};

const UNITS: Readonly<Record<string, string>> = {
  maxDepth: "objects and arrays inside of each other",
  maxKeys: "members in an object",
};

// FAULTS 2.5
describe("parseJson keeps its limit of", () => {
  test.each(Object.entries(CASES))(
    "%s",
    async (_, { option, record, fields, reading, isFatal }) => {
      const limit = 12;
      const words = `more than ${option} = ${limit} ${UNITS[option] ?? "bytes"}`;
      for (const size of [1, 1000]) {
        for (const amount of [limit - 1, limit, limit + 1]) {
          const text = record(amount);
          const due = { ...reading, size, limits: { [option]: limit } };
          const lines = await outcome(`${text}\n`, fields ?? "a", { ...due, shape: "lines" });
          // One level more is around the records of an array.
          const shape = option === "maxDepth" ? "concatenated" : "records";
          const file = shape === "records" ? `[${text}]` : text;
          const array = await outcome(file, fields ?? "a", { ...due, shape });
          if (amount <= limit) {
            expect(lines).not.toMatch(/fault|error/);
            expect(array).not.toMatch(/fault|error/);
          } else {
            expect(lines).toMatch(isFatal === true ? /^error/ : /^fault/);
            expect(lines).toContain(words);
            expect(array).toMatch(/^error/);
            expect(array).toContain(words);
          }
        }
      }
    },
  );

  test("depth counts what is around a record", async () => {
    const reading = { shape: "records", recordPath: "d", limits: { maxDepth: 3 } } as const;
    expect((await readJson('{"d":[{"a":1}]}', "a", reading)).rows).toEqual([["1"]]);
    expect(await outcome('{"d":[{"a":[]}]}', "a", reading)).toContain("maxDepth = 3");
    expect(await outcome('{"x":[[[]]],"d":[]}', "a", reading)).toContain("maxDepth = 3");
  });

  test.each([
    ["maxValueBytes", '{"x":"12345678901234","d":[]}'],
    ["maxValueBytes", '{"x":12345678901234,"d":[]}'],
    ["maxKeyBytes", '{"12345678901234":1,"d":[]}'],
    ["maxKeys", `{${'"x":1,'.repeat(13)}"d":[]}`],
    ["maxRecordBytes", '{"d":["12345678901234"]}'],
    ["maxRecordBytes", '{"d":{"a":      123456}}'],
  ] as const)("%s beside and at the records: %s", async (option, text) => {
    for (const size of [1, 5, 1000]) {
      const reading = { shape: "records", recordPath: "d", size } as const;
      await outcome(text, "a", { ...reading, limits: { [option]: 14 } }).then((answer) =>
        expect(answer).toMatch(option === "maxRecordBytes" ? /error/ : /rows/),
      );
      expect(await outcome(text, "a", { ...reading, limits: { [option]: 12 } })).toMatch(
        `more than ${option} = 12`,
      );
    }
  });

  // FAULTS J1
  test.each(["lines", "records", "concatenated"] as const)(
    "depth by default, in %s, against a million arrays inside of each other",
    async (shape) => {
      for (const [text, fields] of [
        [`{"x":${"[".repeat(1e6)}`, "a"],
        [`{"x":${"[".repeat(1e6)}`, "a=x[0][0]"],
        ['{"x":'.repeat(1e6), "a=x.x"],
        ['{"x":'.repeat(1e6), "x"],
      ] as const) {
        const answer = await outcome(text, fields, { shape, size: 1 << 16 });
        expect(answer).toContain(
          "more than maxDepth = 256 objects and arrays inside of each other",
        );
      }
      const answer = await outcome(`{"x":${"[".repeat(1e6)}`, "a", {
        shape: "records",
        recordPath: "d",
        size: 1 << 16,
      });
      expect(answer).toContain("maxDepth");
    },
  );

  test("depth at 256, 257 and nothing less by default", async () => {
    const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
    expect(await outcome(nested(256), "a", {})).toBe("1 rows");
    expect(await outcome(nested(257), "a", {})).toContain("maxDepth = 256");
  });
});
