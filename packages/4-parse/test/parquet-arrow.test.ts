import { readFileSync } from "node:fs";
import type { Slice } from "@sluice/schema";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { limitMemory } from "../src/parquet/decoder-module.ts";
import { openParquet, type ParquetFile } from "../src/parquet/open-parquet.ts";
import { openBytes } from "./parquet-file.ts";
import { dataPage, int32s, makeFile, ROOT, X } from "./parquet-maker.ts";

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`./parquet-files/${name}.parquet`, import.meta.url));

const units = async (file: ParquetFile, fromOrdinal = 0): Promise<Slice[]> =>
  await Array.fromAsync(file.units({ fromOrdinal }));
const borders = (slices: readonly Slice[]): number[][] =>
  slices.map(({ ordinal, firstRow, rows }) => [ordinal, firstRow, rows]);
const identities = (slices: readonly Slice[]): string[] => slices.map(({ identity }) => identity);

describe("the Arrow route", () => {
  test("gives a row group of many rows in pieces that stay one block each", async () => {
    const rows = 2_100_000;
    const bytes = parquetWriteBuffer({
      columnData: [{ name: "x", data: new Int32Array(rows), type: "INT32" }],
      rowGroupSize: rows,
    });
    const file = await openBytes(new Uint8Array(bytes), { route: "arrow" });
    expect(file.rows).toBe(rows);
    expect(borders(await units(file))).toEqual([
      [0, 1, 1_000_000],
      [1, 1_000_001, 1_000_000],
      [2, 2_000_001, 100_000],
    ]);
  });

  test("cuts a row group of few wide rows by their bytes", async () => {
    const wide = "x".repeat(1_000_000);
    const bytes = parquetWriteBuffer({
      columnData: [{ name: "x", data: Array.from({ length: 20 }, (_, i) => wide + i) }],
      codec: "UNCOMPRESSED",
    });
    const given = await units(await openBytes(new Uint8Array(bytes), { route: "arrow" }));
    expect(given.length).toBeGreaterThan(2);
    expect(Math.max(...given.map(({ byteLength }) => byteLength))).toBeLessThan(2 ** 24);
    expect(given.reduce((sum, { rows }) => sum + rows, 0)).toBe(20);
  });

  test("gives the same bytes and identities each time, of which each is as long as it says", async () => {
    const [first, again] = await Promise.all(
      [0, 1].map(
        async () => await units(await openBytes(fixture("many-row-groups"), { route: "arrow" })),
      ),
    );
    expect(identities(first ?? [])).toEqual(identities(again ?? []));
    expect(new Set(identities(first ?? [])).size).toBe(43);
    for (const slice of first ?? []) {
      const body = Buffer.concat(await Array.fromAsync(slice.open()));
      expect(body.length).toBe(slice.byteLength);
      expect(slice.format).toBe("ArrowStream");
    }
  });

  test("goes on at an ordinal as if it had given those before, and reads none of their bytes", async () => {
    const bytes = fixture("many-row-groups");
    const ranges: number[] = [];
    const file = await openParquet({
      size: bytes.length,
      route: "arrow",
      async *readRange(start, end) {
        ranges.push(start);
        yield bytes.subarray(start, end);
      },
    });
    const all = await units(file);
    ranges.length = 0;
    const rest = await units(file, 40);
    expect(borders(rest)).toEqual(borders(all.slice(40)));
    expect(identities(rest)).toEqual(identities(all.slice(40)));
    expect(ranges).toEqual(all.slice(40).map(({ byteOffset }) => byteOffset));
  });

  test("gives nothing for a file without rows", async () => {
    for (const name of ["empty-no-rows", "empty-no-row-groups"]) {
      for (const route of ["slices", "arrow"] as const) {
        const file = await openBytes(fixture(name), { route });
        expect([file.columns.length, file.rows, await units(file)]).toEqual([8, 0, []]);
      }
    }
  });

  test("has no slices before it decodes, and says so", async () => {
    const file = await openBytes(fixture("required"), { route: "arrow" });
    expect(() => file.slices).toThrow("units");
  });
});

describe("a Parquet file goes", () => {
  test("by slices when ClickHouse reads all of it", async () => {
    const file = await openBytes(fixture("nested-struct"));
    expect(file.route).toEqual({ kind: "slices", why: "ClickHouse reads all of its columns" });
    expect(identities(await units(file))).toEqual(identities(file.slices));
    expect(await units(file, 1)).toEqual([]);
  });

  test("by Arrow when a column has the name of a path inside another", async () => {
    const file = await openBytes(fixture("dotted"));
    expect(file.route.kind).toBe("arrow");
    expect(file.route.why).toMatch('"a.b"');
    expect(file.columns.map(({ name }) => name)).toEqual(["a.b", "a"]);
    const forced = await openBytes(fixture("dotted"), { route: "slices" });
    expect([forced.unread, forced.route.why]).toEqual([["a.b"], "asked for"]);
  });

  test.each(["timestamp-int96", "struct-required-leaf"])(
    "never by Arrow when that would be wrong: %s",
    async (name) => {
      expect((await openBytes(fixture(name))).route.kind).toBe("slices");
      await expect(openBytes(fixture(name), { route: "arrow" })).rejects.toMatchObject({
        stage: "parse",
        code: "unsupported_feature",
      });
    },
  );
});

test.each(["array", "l_tuple"])(
  "a list whose elements stand in a group named %s never goes by Arrow, since the readers take it in two ways",
  async (name) => {
    const bytes = makeFile({
      schema: [
        ROOT,
        { name: "l", repetition: 1, children: 1, converted: 3 },
        { name, repetition: 2, children: 1 },
        X,
      ],
      pages: dataPage(int32s(1), 1),
      rows: 1,
    });
    expect((await openBytes(bytes)).columns).toEqual([{ name: "l", type: "Array(Int32)" }]);
    await expect(openBytes(bytes, { route: "arrow" })).rejects.toMatchObject({
      code: "unsupported_feature",
    });
  },
);

describe("a module's memory", () => {
  // The smallest modules: a memory section of one memory of one page, and none.
  const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

  test("is given its maximum, with or without one before", () => {
    const limited = [...head, 5, 4, 1, 1, 1, 0x80 | 0x2c, 2].toSpliced(9, 1, 5);
    expect([...limitMemory(Uint8Array.from([...head, 5, 3, 1, 0, 1]), 300)]).toEqual(limited);
    expect([...limitMemory(Uint8Array.from([...head, 5, 4, 1, 1, 1, 9]), 300)]).toEqual(limited);
  });

  test.each([
    ["no memory", [...head]],
    ["more than the maximum to begin with", [...head, 5, 4, 1, 0, 0x80 | 0x2d, 2]],
  ])("is refused when there is %s", (_, bytes) => {
    expect(() => limitMemory(Uint8Array.from(bytes), 300)).toThrow("memory");
  });
});
