import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { StageError } from "@sluice/errors";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ParquetOptions } from "../src/parquet/open-parquet.ts";
import { type Server, startServer } from "./clickhouse.ts";
import { structureOf } from "./parquet-cells.ts";
import { openBytes, sliceBytes } from "./parquet-file.ts";
import {
  dataPage,
  dictionaryPage,
  type Element,
  int32s,
  makeFile,
  ROOT,
  X,
} from "./parquet-maker.ts";
import { serveFiles } from "./served-files.ts";

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`./parquet-files/${name}.parquet`, import.meta.url));

const good = makeFile({ pages: dataPage(int32s(1, 2, 3), 3), rows: 3 });
const data = int32s(1, 2, 3);

/** Pages that are wrong, and the codes by which ClickHouse says so. */
const DAMAGED: Readonly<Record<string, Buffer>> = {
  "of less than no bytes": makeFile({ pages: dataPage(data, 3, { size: -12 }), rows: 3 }),
  "longer than its column chunk": makeFile({
    pages: dataPage(data, 3, { size: 2 ** 20 }),
    rows: 3,
  }),
  "of fewer values than its row group": makeFile({ pages: dataPage(data, 3), rows: 4 }),
  "with another checksum": makeFile({
    pages: dataPage(data, 3, { crc: crc32(data) ^ 1 }),
    rows: 3,
  }),
  "of an index beyond its dictionary": makeFile({
    // One bit an index; a run of three times the index 1.
    pages: Buffer.concat([
      dictionaryPage(int32s(7), 1),
      dataPage(Buffer.of(1, 6, 1), 3, { encoding: 8 }),
    ]),
    dictionaryBytes: dictionaryPage(int32s(7), 1).length,
    rows: 3,
  }),
};

/** ClickHouse's codes for pages that are wrong; its rows are compared with the footer's count by the loader. */
const PAGE_CODES = /Code: (117|271|321|354|448|561|1001)\./;

async function unitsOf(
  bytes: Uint8Array,
  options: Partial<ParquetOptions> = {},
): Promise<string[]> {
  const file = await openBytes(bytes, { route: "arrow", ...options });
  const identities: string[] = [];
  for await (const unit of file.units()) identities.push(unit.identity);
  return identities;
}

let server: Server;
let served: Awaited<ReturnType<typeof serveFiles>>;
const offered = new Map<string, Uint8Array>();
beforeAll(async () => {
  server = await startServer();
  served = await serveFiles((name) => offered.get(name) ?? new Uint8Array(0));
}, 60_000);
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Rows and a hash of them, as ClickHouse reads the first slice of a file. */
async function readSlice(bytes: Uint8Array): Promise<string> {
  const file = await openBytes(bytes, { route: "slices" });
  const [slice] = await sliceBytes(file);
  offered.set("slice", slice ?? new Uint8Array(0));
  const from = `url('${served.origin}/slice', Parquet, ${structureOf(file.columns)})`;
  return await server.query(`SELECT count(), sum(cityHash64(toJSONString(tuple(*)))) FROM ${from}`);
}

// Attack P1.
describe("a Parquet page", () => {
  test("that is right is read by both routes", async () => {
    expect((await unitsOf(good)).length).toBe(1);
    expect(await readSlice(good)).toMatch(/^3\t/);
    const checked = makeFile({ pages: dataPage(data, 3, { crc: crc32(data) }), rows: 3 });
    expect(await unitsOf(checked)).toEqual(await unitsOf(good));
  });

  test("that claims 2^30 values is read to the end of its row group's rows, by both routes", async () => {
    const bytes = makeFile({ pages: dataPage(data, 3, { values: 2 ** 30 }), rows: 3 });
    expect(await unitsOf(bytes)).toEqual(await unitsOf(good));
    expect(await readSlice(bytes)).toBe(await readSlice(good));
  });

  test.each(Object.entries(DAMAGED))(
    "%s is refused as malformed by the Arrow route",
    async (_, bytes) => {
      await expect(unitsOf(bytes)).rejects.toMatchObject({ stage: "parse", code: "malformed" });
    },
  );

  test.each(Object.entries(DAMAGED))(
    "%s is refused by ClickHouse in a slice, or gives other rows than the footer counts",
    async (_, bytes) => {
      const file = await openBytes(bytes, { route: "slices" });
      try {
        expect((await readSlice(bytes)).split("\t")[0]).not.toBe(String(file.rows));
      } catch (error) {
        expect(String(error)).toMatch(PAGE_CODES);
      }
    },
  );
});

describe("a footer that lies", () => {
  const lying = makeFile({
    pages: dataPage(data, 3),
    rows: 3,
    statistics: { min: 1000, max: 2000 },
  });

  test("about the smallest and largest value loses no row, even one that a condition asks for", async () => {
    const file = await openBytes(lying, { route: "slices" });
    const [slice] = await sliceBytes(file);
    await server.query("CREATE TABLE few (x Int32) ENGINE = Memory");
    await server.query(
      "INSERT INTO few SELECT x FROM input('x Int32') WHERE x < 50 FORMAT Parquet",
      slice,
    );
    expect(await server.query("SELECT groupArray(x) FROM few")).toBe("[1,2,3]\n");
    expect(await unitsOf(lying)).toEqual(await unitsOf(good));
  });
});

// Attack P1.
describe("openParquet", () => {
  test("refuses a file that ends early, wherever it ends", async () => {
    const bytes = fixture("required");
    for (let end = 0; end < bytes.length; end++) {
      await expect(openBytes(bytes.subarray(0, end))).rejects.toMatchObject({ code: "malformed" });
    }
  });

  test("refuses more rows than a column's bytes can hold, which ClickHouse would count for a long time", async () => {
    const bytes = makeFile({ pages: dataPage(data, 3), rows: 2 ** 40 });
    await expect(openBytes(bytes)).rejects.toMatchObject({ stage: "parse", code: "malformed" });
  });

  test.each(["encrypted-footer", "encrypted-columns-plaintext-footer"])(
    "says encrypted_file of %s, as pyarrow writes it",
    async (name) => {
      for (const route of ["auto", "slices", "arrow"] as const) {
        await expect(openBytes(fixture(name), { route })).rejects.toMatchObject({
          stage: "parse",
          code: "encrypted_file",
        });
      }
    },
  );

  test("leaves out a decimal of 77 digits, which no type holds, and reads the rest", async () => {
    const decimal: Element = {
      name: "d",
      type: 6,
      repetition: 0,
      converted: 5,
      precision: 77,
      scale: 0,
    };
    const file = await openBytes(makeFile({ schema: [ROOT, decimal], pages: data, rows: 1 }));
    expect([file.columns, file.unread]).toEqual([[], ["d"]]);
  });

  test.each([
    ["more children than elements", [{ name: "root", children: 2 ** 30 }, X]],
    ["children of a value", [ROOT, { ...X, children: 1 }, X]],
    ["elements behind its end", [ROOT, X, X]],
    ["less than no children", [{ name: "root", children: -1 }, X]],
  ] as const)("refuses a schema with %s", async (_, schema) => {
    const made = makeFile({ schema, pages: dataPage(data, 3), rows: 3 });
    await expect(openBytes(made)).rejects.toMatchObject({ code: "malformed" });
  });

  const deep = (depth: number): Buffer => {
    const groups = Array.from({ length: depth - 1 }, () => ({
      name: "g",
      repetition: 0,
      children: 1,
    }));
    return makeFile({ schema: [ROOT, ...groups, X], pages: dataPage(data, 3), rows: 3 });
  };
  const footerBytes = good.readUInt32LE(good.length - 8);
  const groupBytes = dataPage(data, 3).length;
  const big = makeFile({ pages: dataPage(int32s(...Array(300).fill(1)), 300), rows: 300 });

  test.each<[keyof ParquetOptions, number, (limit: number) => Promise<unknown>]>([
    ["maxSchemaDepth", 64, async () => await openBytes(deep(64))],
    ["maxSchemaDepth", 5, async (maxSchemaDepth) => await openBytes(deep(5), { maxSchemaDepth })],
    [
      "maxFooterBytes",
      footerBytes,
      async (maxFooterBytes) => await openBytes(good, { maxFooterBytes }),
    ],
    [
      "maxRowGroupBytes",
      groupBytes,
      async (maxRowGroupBytes) => await openBytes(good, { maxRowGroupBytes }),
    ],
    [
      "maxDecodedRowGroupBytes",
      groupBytes,
      async (maxDecodedRowGroupBytes) =>
        await openBytes(good, { route: "arrow", maxDecodedRowGroupBytes }),
    ],
    ["maxPageBytes", 1200, async (maxPageBytes) => await unitsOf(big, { maxPageBytes })],
  ])(
    "takes what is at %s = %i and refuses what is over it, by its name",
    async (option, limit, open) => {
      await open(limit);
      await open(limit + 1);
      if (limit === 64) return await refused(openBytes(deep(65)), option, limit);
      await refused(open(limit - 1), option, limit - 1);
    },
  );

  async function refused(run: Promise<unknown>, option: string, limit: number): Promise<void> {
    await expect(run).rejects.toMatchObject({ stage: "parse", code: "record_too_large" });
    await expect(run).rejects.toThrow(`${option} = ${limit}`);
  }
});

describe("the decoder", () => {
  test("that wants more memory than it may have is ended, and the next one lives", async () => {
    const text = "x".repeat(4_000_000);
    const values = Buffer.alloc(4 + text.length, text);
    values.writeUInt32LE(text.length);
    const bytes = makeFile({
      schema: [ROOT, { name: "x", type: 6, repetition: 0 }],
      pages: dataPage(values, 1),
      rows: 1,
    });
    const run = unitsOf(bytes, { maxDecoderBytes: 8 * 2 ** 20 });
    await expect(run).rejects.toMatchObject({ stage: "parse", code: "record_too_large" });
    await expect(run).rejects.toThrow("maxDecoderBytes = 8388608");
    expect((await unitsOf(bytes)).length).toBe(1);
  });

  test("that takes too long is decoder_crashed, with the row group's place", async () => {
    await expect(unitsOf(good, { decodeTimeoutMs: 0 })).rejects.toMatchObject({
      stage: "parse",
      code: "decoder_crashed",
      coordinate: { byteOffset: 4, row: 1 },
    });
  });

  test("is ended by a signal", async () => {
    const abort = new AbortController();
    const file = await openBytes(fixture("many-row-groups"), { route: "arrow" });
    const units = file.units({ signal: abort.signal })[Symbol.asyncIterator]();
    await units.next();
    abort.abort(new Error("stopped"));
    await expect(units.next()).rejects.toThrow("stopped");
  });
});

/** Bits of the data of a file, the same at each run. */
function* flips(bytes: Buffer, count: number): Generator<Uint8Array> {
  const end = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
  let seed = 7;
  for (let i = 0; i < count; i++) {
    const next = (): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return seed >>> 8;
    };
    const copy = Uint8Array.from(bytes);
    const at = 4 + (next() % (end - 4));
    copy[at] = (copy[at] ?? 0) ^ (1 << (next() % 8));
    yield copy;
  }
}

describe("of 200 files of which one bit is wrong, where pages carry checksums,", () => {
  const bytes = fixture("page-crc");

  test("the Arrow route refuses each or reads what the sound one has", async () => {
    const sound = await unitsOf(bytes);
    for (const flipped of flips(bytes, 200)) {
      try {
        expect(await unitsOf(flipped)).toEqual(sound);
      } catch (error) {
        if (!(error instanceof StageError)) throw error;
        expect(error.code).toMatch(/^(malformed|record_too_large)$/);
      }
    }
  });

  test("ClickHouse refuses each slice by a code that tells of it, or reads what the sound one has", async () => {
    const sound = await readSlice(bytes);
    for (const flipped of flips(bytes, 200)) {
      try {
        expect(await readSlice(flipped)).toBe(sound);
      } catch (error) {
        expect(String(error)).toMatch(PAGE_CODES);
      }
    }
  });
});
