import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { StageError } from "@sluice/errors";
import {
  Compression,
  readParquet,
  WriterPropertiesBuilder,
  WriterVersion,
  writeParquet,
} from "parquet-wasm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startServer } from "./clickhouse.ts";
import {
  CELLS,
  type Cell,
  differences,
  emptyCells,
  insertCells,
  insertWhole,
  parseCells,
  readCells,
  SETTINGS,
  typeAsRead,
} from "./parquet-cells.ts";
import { openBytes } from "./parquet-file.ts";
import { serveFiles } from "./served-files.ts";

const own = new URL("./parquet-files/", import.meta.url);
const corpus = new URL("../../../../shared/corpora/hyparquet/files/", import.meta.url);

/** What the Arrow route refuses, because its decoder would read it wrongly. */
const NOT_BY_ARROW =
  /INT96|a required value inside an optional struct|a repeated field that is no list/;
/** Timestamps that INT96 holds and DateTime64(9) does not: asked for as one, ClickHouse fails the insert. */
const BEYOND_INT96 = new Set(["timestamp-int96-far", "int96-far-no-hint"]);
/** A field without a repetition, which the format demands: the decoder says so, ClickHouse takes it as required. */
const MALFORMED_BY_ARROW = new Set(["strings"]);
/**
 * Twins of hyparquet that hold something else than the columns do: shapes as GeoJSON, sums of timestamps rounded to
 * doubles.
 */
const OTHER_TWIN = /^geo|^nested_structs/;
/** Columns whose names are no columns of ClickHouse, whose map has keys of several values, and variants. */
const UNREAD: Readonly<Record<string, readonly string[]>> = {
  "empty-name": [""],
  "map-struct-key": ["m"],
  "shredded-array": ["var"],
  "shredded-bool": ["var"],
  "shredded-int": ["var"],
  "shredded-nested-object": ["var"],
  "shredded-object": ["var"],
  "shredded-partial-object": ["var"],
  "shredded-sparse-timestamp": ["v"],
  "shredded-type-mismatch": ["v"],
};

const filesOf = (folder: URL): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".parquet") && existsSync(twinOf(folder, name)))
        .map((name) => name.slice(0, -".parquet".length))
    : [];
const twinOf = (folder: URL, name: string): URL =>
  new URL(name.replace(/(\.parquet)?$/, folder === own ? ".jsonl" : ".json"), folder);

function readTwin(folder: URL, name: string): Cell[][] {
  const text = readFileSync(twinOf(folder, name), "utf8");
  return parseCells(folder === own ? `[${text.trimEnd().replaceAll("\n", ",")}]` : text);
}

let server: Server;
let served: Awaited<ReturnType<typeof serveFiles>>;
beforeAll(async () => {
  server = await startServer();
  // ClickHouse fetches whole files from here.
  served = await serveFiles((path) => {
    const [folder, name = ""] = path.split("/");
    return readFileSync(new URL(name, folder === "own" ? own : corpus));
  });
}, 60_000);
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function describeFiles(folder: URL, path: string): void {
  test.each(filesOf(folder))(
    "%s has the twin's cells by every route that takes it",
    async (name) => {
      const bytes = readFileSync(new URL(`${name}.parquet`, folder));
      const file = await openBytes(bytes, { route: "slices" });
      await emptyCells(server);
      if (BEYOND_INT96.has(name)) {
        const [slice] = file.slices;
        if (slice === undefined) throw new Error("no slice");
        await expect(insertCells(server, "slices", file.columns, slice)).rejects.toThrow(
          "Code: 321",
        );
        return;
      }
      expect(file.unread).toEqual(
        name === "geospatial" ? ["geometry"] : name === "dotted" ? ["a.b"] : (UNREAD[name] ?? []),
      );
      if (file.columns.length === 0 || name === "duplicate-names") return;

      for (const slice of file.slices) await insertCells(server, "slices", file.columns, slice);
      const slices = await readCells(server, "slices");
      expect(slices.length).toBe(file.rows);
      const isWhole = file.unread.length === 0;
      if (isWhole && OTHER_TWIN.test(name)) {
        await insertWhole(server, file.columns, `${served.origin}/${path}/${name}.parquet`);
        expect(await readCells(server, "whole")).toEqual(slices);
      } else if (isWhole) {
        expect(differences(readTwin(folder, name), slices)).toEqual([]);
      }

      try {
        const decoded = await openBytes(bytes, { route: "arrow" });
        for await (const unit of decoded.units())
          await insertCells(server, "arrow", decoded.columns, unit);
        if (isWhole) {
          expect(decoded.columns).toEqual(file.columns);
          expect(await readCells(server, "arrow")).toEqual(slices);
        }
      } catch (error) {
        if (!(error instanceof StageError)) throw error;
        if (error.code === "unsupported_feature") expect(error.message).toMatch(NOT_BY_ARROW);
        else expect([error.code, MALFORMED_BY_ARROW.has(name)]).toEqual(["malformed", true]);
      }
    },
  );

  test("and each column the type that ClickHouse describes it by", async () => {
    // Asked for as text, for which ClickHouse by itself would take other types.
    const told: Record<string, unknown> = {};
    for (const name of filesOf(folder)) {
      const file = await openBytes(readFileSync(new URL(`${name}.parquet`, folder)), {
        route: "slices",
      });
      const source = `url('${served.origin}/${path}/${name}.parquet', Parquet)`;
      const settings =
        "SETTINGS input_format_parquet_enable_json_parsing = 0, input_format_parquet_allow_geoparquet_parser = 0, input_format_parquet_skip_columns_with_unsupported_types_in_schema_inference = 1, print_pretty_type_names = 0";
      let described: string[][];
      try {
        const answer = await server.query(
          `DESCRIBE TABLE ${source} ${settings} FORMAT JSONCompactEachRow`,
        );
        described = answer
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line));
      } catch (error) {
        told[name] = String(error).match(/Code: (\d+)/)?.[1];
        continue;
      }
      const types = file.columns.map(({ type }) => {
        return `toTypeName(defaultValueOfTypeName('${typeAsRead(type).replace(/[\\']/g, "\\$&")}'))`;
      });
      const normal = await server.query(
        `SELECT [${types.join(", ")}] SETTINGS print_pretty_type_names = 0 FORMAT JSONCompactEachRow`,
      );
      const [spelt] = JSON.parse(normal) as [string[]];
      for (const [i, { name: column }] of file.columns.entries()) {
        const found = described.find(([seen]) => seen === column)?.[1];
        if (found !== spelt[i]) told[`${name}.${column}`] = [spelt[i], found];
      }
    }
    expect(told).toEqual(path === "own" ? { "duplicate-names": "636" } : {});
  }, 60_000);
}

describe("Parquet files of pyarrow", () => describeFiles(own, "own"));
describe.skipIf(filesOf(corpus).length === 0)(
  "Parquet files of the hyparquet corpus (skipped without ../shared/corpora)",
  () => describeFiles(corpus, "corpus"),
);

/** The rows of a file by both routes, which have to be the same. */
async function bothRoutes(bytes: Uint8Array): Promise<Cell[][]> {
  await emptyCells(server);
  for (const route of ["slices", "arrow"] as const) {
    const file = await openBytes(bytes, { route });
    for await (const unit of file.units()) await insertCells(server, route, file.columns, unit);
  }
  const slices = await readCells(server, "slices");
  expect(await readCells(server, "arrow")).toEqual(slices);
  return slices;
}

describe("Parquet files of other writers", () => {
  // UInt128 is left out: ClickHouse writes it as 16 bytes without a meaning.
  const select =
    "SELECT number AS n, toInt64(-number) AS i, toString(number) AS s, number / 7 AS f, toFloat32(number) AS g, toDate32('1950-01-01') + number AS d, toDateTime64(number, 6, 'UTC') AS t, toDecimal128(number, 3) AS m, number % 2 = 0 AS b, toUUID('00112233-4455-6677-8899-aabbccddee0' || toString(number % 10)) AS u, if(number % 3 = 0, NULL, number) AS z, [number, number] AS l, map('k', number) AS p, tuple(number, 'x')::Tuple(a UInt64, b String) AS q FROM numbers(500)";
  const METHODS = ["none", "snappy", "gzip", "zstd", "lz4", "brotli"];

  const sent: Buffer[] = [];
  const sink = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => sent.push(chunk));
    request.on("end", () => response.end());
  });
  beforeAll(async () => {
    sink.listen(0, "127.0.0.1");
    await once(sink, "listening");
  });
  afterAll(async () => {
    sink.closeAllConnections();
    sink.close();
    await once(sink, "close");
  });

  /** A Parquet file as ClickHouse writes it, which it sends here. */
  async function written(query: string, settings: string): Promise<Buffer> {
    sent.length = 0;
    const to = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`;
    await server.query(
      `INSERT INTO FUNCTION url('${to}', Parquet) ${query} SETTINGS ${settings}, max_threads = 1`,
    );
    return Buffer.concat(sent);
  }

  test.each(METHODS)(
    "by ClickHouse, compressed by %s, have the rows that were selected",
    async (method) => {
      const bytes = await written(
        select,
        `output_format_parquet_compression_method = '${method}', output_format_parquet_row_group_size = 200`,
      );
      const rows = await bothRoutes(bytes);
      await server.query(
        `INSERT INTO cells SELECT 'origin', n + 1, ${CELLS} FROM (${select}) ${SETTINGS}`,
      );
      expect(differences(await readCells(server, "origin"), rows)).toEqual([]);
    },
  );

  test.each([
    ["LZ4_RAW", WriterVersion.V1],
    ["LZ4_RAW", WriterVersion.V2],
    ["ZSTD", WriterVersion.V2],
    ["BROTLI", WriterVersion.V2],
    ["GZIP", WriterVersion.V2],
  ] as const)(
    "by parquet-wasm, compressed by %s in version %i, have the rows of the file they were made of",
    async (codec, version) => {
      const from = "encoding-plain";
      const table = readParquet(readFileSync(new URL(`${from}.parquet`, own)));
      const properties = new WriterPropertiesBuilder()
        .setCompression(Compression[codec])
        .setWriterVersion(version)
        .build();
      const rows = await bothRoutes(writeParquet(table, properties));
      expect(differences(readTwin(own, from), rows)).toEqual([]);
    },
  );
});

test("a file in which two columns have one name loads by its other columns", async () => {
  const file = await openBytes(readFileSync(new URL("duplicate-names.parquet", own)));
  expect(file.columns.map(({ name }) => name)).toEqual(["x", "x", "y"]);
  await emptyCells(server);
  for await (const unit of file.units()) {
    await insertCells(server, "y", file.columns.slice(2), unit);
  }
  expect(await readCells(server, "y")).toEqual(parseCells('[["3"],["4"]]'));
});

test.skipIf(!existsSync(corpus))(
  "a GEOMETRY column, which ClickHouse's reader refuses, comes by Arrow as well-known binary (skipped without ../shared/corpora)",
  async () => {
    const file = await openBytes(readFileSync(new URL("geospatial.parquet", corpus)));
    expect(file.route).toEqual({
      kind: "arrow",
      why: `ClickHouse's reader refuses the GEOMETRY column "geometry"`,
    });
    await emptyCells(server);
    for await (const unit of file.units()) await insertCells(server, "arrow", file.columns, unit);
    const [[, wkt, wkb] = []] = await readCells(server, "arrow");
    const point = Buffer.alloc(21);
    point.writeUInt8(1, 0);
    point.writeUInt32LE(1, 1);
    point.writeDoubleLE(30, 5);
    point.writeDoubleLE(10, 13);
    expect([wkt, wkb]).toEqual(["POINT (30 10)", point.toString("latin1")]);
  },
);
