import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import {
  BZIP2_FILE,
  behindSync,
  CODECS,
  container,
  encode,
  fieldsOf,
  readAvro,
  record,
  SYNC,
  type Written,
  wanted,
} from "./avro-file.ts";

const SCHEMA = record({
  id: "long",
  name: "string",
  tags: { type: "map", values: "int" },
  kind: { type: "enum", name: "E", symbols: ["A", "B"] },
  more: ["null", "double", { type: "array", items: "boolean" }],
});
const rows = Array.from({ length: 9 }, (_, i) => ({
  id: BigInt(i) ** 19n,
  name: `name ${i}`.repeat((i % 3) + 1),
  tags: { a: i, [`k${i}`]: -i },
  kind: i % 2 === 0 ? "A" : "B",
  more: [null, { double: i / 3 }, { array: [true, false] }][i % 3],
}));
const countListeners = (): number[] =>
  ["uncaughtException", "unhandledRejection"].map((event) => process.listenerCount(event));
const listenersBefore = countListeners();

function samples(): (Written & { codec: string; perBlock: readonly number[] })[] {
  const written = CODECS.map((codec) => ({
    codec,
    perBlock: [4, 4, 1],
    ...container(SCHEMA, encode(SCHEMA, rows, 4), codec),
  }));
  const first = behindSync(BZIP2_FILE);
  const borders = [first, behindSync(BZIP2_FILE, first), BZIP2_FILE.length];
  return [...written, { codec: "bzip2", perBlock: [3, 2], bytes: BZIP2_FILE, borders }];
}

/** All cells of a file, or the error: which must be one of ours, with a place. */
async function outcome(bytes: Uint8Array): Promise<StageError | readonly unknown[]> {
  try {
    return (await readAvro(bytes, await fieldsOf(bytes), {}, 4096)).rows;
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    expect(error.stage).toBe("parse");
    expect(error.coordinate.byteOffset).toBeTypeOf("number");
    return error;
  }
}

// Attack P2.
describe.each(samples())("parseAvro of a damaged file of codec $codec", (sample) => {
  const { codec, bytes, borders, perBlock } = sample;

  test("refuses it cut at any byte that is not the border of a block", async () => {
    let whole = 0;
    for (let length = 0; length < bytes.length; length++) {
      const result = await outcome(bytes.subarray(0, length));
      const blocks = borders.indexOf(length);
      if (blocks >= 0) {
        // It looks complete: nothing says how many blocks there are.
        whole++;
        const count = perBlock.slice(0, blocks).reduce((sum, rowCount) => sum + rowCount, 0);
        expect(result).toHaveLength(count);
      } else expect(result).toMatchObject({ code: "malformed" });
    }
    expect(whole).toBe(borders.length - 1);
  });

  test("refuses 200 changed bits, or gives as many rows; with a checksum the same rows", async () => {
    const [first = 0] = borders;
    const truth = await outcome(bytes);
    const hasChecksum = codec !== "null" && codec !== "deflate";
    let seed = 20;
    let refused = 0;
    for (let turn = 0; turn < 200; turn++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const bit = Math.floor((seed / 2 ** 32) * bytes.length * 8);
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = await outcome(changed);
      if (result instanceof StageError) refused++;
      else if (hasChecksum && bit >> 3 >= first) expect(result).toEqual(truth);
      else expect(result).toHaveLength(9 - (codec === "bzip2" ? 4 : 0));
    }
    expect(refused).toBeGreaterThan(50);
  });

  test("finds every changed bit of the markers, counts and sizes", async () => {
    for (const border of borders.slice(0, -1)) {
      const bits = [...SYNC.keys()].map((i) => (border - 1 - i) * 8).concat(border * 8 + 1);
      for (const bit of bits) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(await outcome(changed)).toBeInstanceOf(StageError);
      }
    }
  });

  test("says in which block, and from which row on", async () => {
    const [, second = 0, third = 0] = borders;
    const changed = Buffer.from(bytes);
    changed[third - 1] = (changed[third - 1] ?? 0) ^ 1;
    await expect(readAvro(changed, wanted("id", "time"))).rejects.toMatchObject({
      code: "malformed",
      coordinate: { row: 1 + (perBlock[0] ?? 0), byteOffset: second },
    });
  });
});

test("parseAvro leaves no listener on the process, whatever its libraries do", async () => {
  for (let turn = 0; turn < 3; turn++) await readAvro(BZIP2_FILE, []);
  expect(countListeners()).toEqual(listenersBefore);
});
