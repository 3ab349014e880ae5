import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import { type Reading, readJson } from "./json-read.ts";

const records = [
  '{"a": 1, "b": "x\\u00e9 é", "c": {"d": [true, null, -1.5e3]}}',
  '{"b":"y","c":{"d":[]},"a":12}',
];

type End = "refused" | "complete" | "faulty";

/** What the first `length` bytes of a file are. */
async function endOf(file: Uint8Array, length: number, reading: Reading): Promise<[End, number]> {
  try {
    const { rows, faults } = await readJson(file.subarray(0, length), "a d=c.d", {
      ...reading,
      size: 16,
    });
    return [faults.length === 0 ? "complete" : "faulty", rows.length];
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    expect(error.stage).toBe("parse");
    expect(["malformed", "bad_encoding"]).toContain(error.code);
    return ["refused", 0];
  }
}

/** Every beginning of the file that is taken for a whole one, with its rows. */
async function complete(file: Uint8Array, reading: Reading): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for (let length = 0; length < file.length; length++) {
    const [end, rows] = await endOf(file, length, reading);
    if (end === "complete") found.set(length, rows);
  }
  return found;
}

describe("parseJson of a file that is cut", () => {
  test("refuses every beginning of one text", async () => {
    const array = Buffer.from(`[${records.join(",\n")}]`);
    expect(await complete(array, { shape: "records" })).toEqual(new Map());
    const [one = ""] = records;
    expect(await complete(Buffer.from(one), { shape: "records" })).toEqual(new Map());
    const wrapped = Buffer.from(`{"x":[1,{"y":"z"}],"rows":[${records.join(",")}],"n":"\\n"}`);
    const reading = { shape: "records", recordPath: "rows" } as const;
    expect(await complete(wrapped, reading)).toEqual(new Map());
    const exploded = Buffer.from('[{"p":1,"c":[{"d":1},{"d":2}],"a":"x"},{"c":{"d":3}}]');
    expect(await complete(exploded, { shape: "records", explodePath: "c" })).toEqual(new Map());
  });

  // Nothing in such a file says how many records it has: the bytes' count has to be checked before.
  test("takes a beginning of lines for a whole file where a line could end, and nowhere else", async () => {
    const [first = "", second = ""] = records.map((record) => Buffer.byteLength(record).toString());
    const file = Buffer.from(`${records.join("\r\n")}\r\n`);
    const one = Number(first);
    const two = one + 2 + Number(second);
    expect(await complete(file, { shape: "lines" })).toEqual(
      new Map([
        [0, 0],
        [one, 1],
        [one + 1, 1],
        [one + 2, 1],
        [two, 2],
        [two + 1, 2],
      ]),
    );
  });

  test("makes a fault of a line that is cut inside", async () => {
    const [record = ""] = records;
    const file = Buffer.from(`${record}\n${record}`);
    const start = Buffer.byteLength(record) + 1;
    for (let length = start + 1; length < file.length; length++) {
      const [end, rows] = await endOf(file, length, { shape: "lines" });
      // Inside of é the file is no UTF-8.
      const isHalf = file[length - 1] === 0xc3;
      expect([end, rows], `${length} bytes`).toEqual(isHalf ? ["refused", 0] : ["faulty", 2]);
    }
  });

  test("takes a beginning of concatenated texts for a whole file between texts, and nowhere else", async () => {
    const file = Buffer.from(`${records.join("")} [${records.join()}]`);
    const [one = 0, two = 0] = records.map((record) => Buffer.byteLength(record));
    expect(await complete(file, { shape: "concatenated" })).toEqual(
      new Map([
        [0, 0],
        [one, 1],
        [one + two, 2],
        [one + two + 1, 2],
      ]),
    );
  });
});
