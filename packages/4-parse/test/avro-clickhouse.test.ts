import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { container, encode, type Json, readAvro, record, wanted } from "./avro-file.ts";
import { type Server, startServer } from "./clickhouse.ts";
import { serveFiles } from "./served-files.ts";

const corpus = fileURLToPath(
  new URL("../../../../shared/corpora/avro-apache/share/test/data/", import.meta.url),
);

/** Columns as ClickHouse makes them, and how it writes their values as our blocks do. */
const COLUMNS: readonly (readonly [name: string, value: string, text: string])[] = [
  ["id", "toInt64(number) * 1000000007 - 9223372036854775807", "toString(id)"],
  ["small", "toInt32(number) - 500", "toString(small)"],
  ["name", "concat('é', toString(number), repeat('x', number % 40))", "name"],
  ["amount", "toFloat64(number) / 7", "toString(amount)"],
  ["cents", "toFloat64(number) / 100", "toString(cents)"],
  ["ratio", "toFloat32(number / 4)", "toString(ratio)"],
  ["flag", "toBool(number % 3 = 0)", "toString(flag)"],
  ["day", "toDate(number)", "toString(toInt32(day))"],
  ["at", "toDateTime64(number * 1000003 / 1000, 3, 'UTC')", "toString(toUnixTimestamp64Milli(at))"],
  [
    "exact",
    "toDateTime64(number * 1000003 / 1000000, 6, 'UTC')",
    "toString(toUnixTimestamp64Micro(exact))",
  ],
  ["price", "toDecimal64(number, 4) / 8 - 3", "toDecimalString(price, 4)"],
  [
    "key",
    "toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(number), 12, '0')))",
    "toString(key)",
  ],
  ["maybe", "if(number % 2 = 0, NULL, toInt64(number))", "toString(maybe)"],
  ["list", "range(number % 4)", "toJSONString(list)"],
  ["pairs", "map('a', toInt32(number), 'b\"', 1)", "toJSONString(pairs)"],
];

describe("parseAvro and ClickHouse's own Avro", () => {
  let server: Server;
  let served: Awaited<ReturnType<typeof serveFiles>>;
  const files = new Map<string, Uint8Array>();

  beforeAll(async () => {
    server = await startServer();
    served = await serveFiles((name) => files.get(name) ?? new Uint8Array(0));
  }, 60_000);
  afterAll(async () => {
    await served?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const lines = async (sql: string): Promise<(string | null)[][]> => {
    const told = await server.query(`${sql} FORMAT JSONCompactEachRow`);
    return told
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  };

  test.each(["null", "deflate", "snappy", "zstd"])(
    "read the same rows of a file that ClickHouse writes with codec %s",
    async (codec) => {
      const select = COLUMNS.map(([name, value]) => `${value} AS ${name}`).join(", ");
      const from = `(SELECT ${select} FROM numbers(1000) ORDER BY number)`;
      const name = `written-${codec}.avro`;
      const settings =
        `output_format_avro_codec = '${codec}', output_format_avro_sync_interval = 4000, ` +
        "output_format_avro_string_column_pattern = 'name', engine_file_truncate_on_insert = 1";
      await server.query(
        `INSERT INTO FUNCTION file('${name}', 'Avro') SELECT * FROM ${from} SETTINGS ${settings}`,
      );
      const [[packed] = [""]] = await lines(
        `SELECT base64Encode(c) FROM file('${name}', 'RawBLOB', 'c String')`,
      );
      const bytes = Buffer.from(packed ?? "", "base64");
      const table = await readAvro(bytes, wanted(...COLUMNS.map(([column]) => column)), {}, 777);
      const truth = await lines(
        `SELECT ${COLUMNS.map(([, , text]) => text).join(", ")} FROM ${from}`,
      );
      expect(table.names).toEqual(COLUMNS.map(([column]) => column));
      expect(table.rows).toEqual(truth);
      // Blocks start where the records before them end: several, with rows in order.
      expect(new Set(table.byteOffsets).size).toBeGreaterThan(5);
    },
  );

  test("read the same rows of a file that avsc writes, under types that take every value exactly", async () => {
    const inner: Json = { type: "array", items: ["null", "long"] };
    const fields: Record<string, Json> = {
      i: "int",
      l: "long",
      f: "float",
      d: "double",
      s: ["null", "string"],
      b: "bytes",
      e: { type: "enum", name: "E", symbols: ["A", "B"] },
      x: { type: "fixed", name: "F", size: 4 },
      day: { type: "int", logicalType: "date" },
      ms: { type: "long", logicalType: "timestamp-millis" },
      us: { type: "long", logicalType: "timestamp-micros" },
      u: { type: "string", logicalType: "uuid" },
      p: { type: "bytes", logicalType: "decimal", precision: 18, scale: 5 },
      a: inner,
    };
    const rows = Array.from({ length: 300 }, (_, n) => ({
      i: (n % 2 === 0 ? 1 : -1) * (2 ** (n % 31) - 1),
      l: (BigInt(n) << 54n) - 2n ** 62n,
      f: Math.fround(n / 3),
      d: Math.exp(n - 150),
      s: n % 3 === 0 ? null : { string: `s${n}\n"` },
      b: Buffer.from(`bytes ${n}`),
      e: n % 2 === 0 ? "A" : "B",
      x: Buffer.from(String(1000 + n)),
      day: n * 60,
      ms: BigInt(n) * 123_456_789n,
      us: BigInt(n) * 123_456_789_123n,
      u: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
      p: Buffer.from([n & 0x7f, n & 0xff, 0x80]),
      a: [null, { long: BigInt(n) }],
    }));
    const schema = record(fields);
    const { bytes } = container(schema, encode(schema, rows, 70), "deflate");
    files.set("avsc.avro", bytes);
    const names = Object.keys(fields);
    const table = await readAvro(bytes, wanted(...names));

    // Our texts, read by ClickHouse under our types, are the values that it reads from the file itself.
    const text = table.rows.map((row) =>
      JSON.stringify(Object.fromEntries(row.map((cell, i) => [names[i], cell]))),
    );
    const structure = names.map((name) => `${name} Nullable(String)`).join(", ");
    files.set("texts.ndjson", Buffer.from(text.join("\n")));
    const ticks = { ms: "Milli", us: "Micro" } as Record<string, string>;
    const ours = names.map((name, i) => {
      const type = (table.types[i] ?? "").replace(/^Nullable\((.*)\)$/, "$1");
      if (type === "Date32") return `toString(toDate32(assumeNotNull(toInt32(${name}))))`;
      if (name in ticks)
        return `toString(fromUnixTimestamp64${ticks[name]}(assumeNotNull(toInt64(${name})), 'UTC'))`;
      return `toString(CAST(${name} AS Nullable(${type})))`;
    });
    const theirs = names.map((name) => {
      if (name === "a") return "toJSONString(a)";
      return name in ticks ? `toString(toTimeZone(${name}, 'UTC'))` : `toString(${name})`;
    });
    const mine = await lines(
      `SELECT ${ours.join(", ")} FROM url('${served.origin}/texts.ndjson', 'JSONEachRow', '${structure}')`,
    );
    const known = await lines(
      `SELECT ${theirs.join(", ")} FROM url('${served.origin}/avsc.avro', 'Avro')`,
    );
    expect(mine).toHaveLength(300);
    expect(mine).toEqual(known);
  });

  test.skipIf(!existsSync(corpus))(
    "read the same rows of the Apache files (skipped without ../shared/corpora)",
    async () => {
      for (const name of [
        "weather.avro",
        "weather-deflate.avro",
        "weather-snappy.avro",
        "weather-zstd.avro",
        "syncInMeta.avro",
      ]) {
        const bytes = readFileSync(corpus + name);
        files.set(name, bytes);
        const { extra } = await readAvro(bytes, []);
        const table = await readAvro(bytes, wanted(...extra), {}, 4096);
        const columns = extra.map((column) => `toString(${column})`).join(", ");
        expect(table.rows).toEqual(
          await lines(`SELECT ${columns} FROM url('${served.origin}/${name}', 'Avro')`),
        );
      }
    },
  );
});
