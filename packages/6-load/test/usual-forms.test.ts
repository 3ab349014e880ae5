import type { Batch, Field } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { castText } from "../src/cast/cast-text.ts";
import {
  createStaging,
  type LoadTotals,
  loadBatches,
  prepareDomainTable,
  resolveColumns,
} from "../src/index.ts";
import {
  batchOf,
  feedOf,
  field,
  manifestObject,
  startTestServer,
  streamOf,
  type TestServer,
  textColumns,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS forms SYNC"));

const feed = feedOf([field("id", "integer"), field("day", "date"), field("at", "datetime")], {
  source: "forms",
  name: "t",
});
const USUAL = ["2026-02-28", "2026-02-28 01:02:03"];
const RARE = ["02/28/2026", "2/28/2026 1:02:03 AM"];
const BAD = ["2026-02-30", "2026-02-28 01:02:03"];

const rowsOf = (from: number, times: number, cells: readonly string[]): string[][] =>
  Array.from({ length: times }, (_, i) => [String(from + i), ...cells]);

async function load(...batches: readonly Batch[]): Promise<LoadTotals> {
  const { warehouse } = server;
  await prepareDomainTable(warehouse, feed);
  await createStaging(warehouse, { source: "forms", name: "t" }, "w");
  return await loadBatches({
    warehouse,
    feed,
    workflowId: "w",
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    concurrency: 1,
    plan: resolveColumns(feed, textColumns(["id", "day", "at"])),
  })(streamOf(...batches));
}

const batchAt = async (ordinal: number, rows: readonly string[][]): Promise<Batch> =>
  await batchOf(server, rows, { ordinal, firstRow: 1 + ordinal * 10 });

/** Which statements were sent for the workflow's batches, in their order. */
async function sent(): Promise<string[]> {
  await server.admin("SYSTEM FLUSH LOGS");
  const found = await server.rows<{ side: string }>(
    "SELECT extract(query_id, '^w-[0-9a-f]+-([a-z]+)-') AS side FROM system.query_log WHERE type = 'QueryStart' AND side != '' AND has(databases, 'forms') ORDER BY event_time_microseconds",
  );
  return found.map(({ side }) => side);
}

const staged = async (): Promise<unknown> =>
  await server.rows(
    "SELECT toUInt32(id) AS id, toString(day) AS day, toString(at) AS at FROM forms.t__stg_w ORDER BY id",
  );
const all = (count: number): unknown =>
  Array.from({ length: count }, (_, id) => ({
    id,
    day: "2026-02-28",
    at: "2026-02-28 01:02:03.000000",
  }));

test("values in usual forms take one statement, rare ones a second, and a third the rejects", async () => {
  await server.admin("SYSTEM FLUSH LOGS");
  await server.admin("TRUNCATE TABLE system.query_log");
  await load(await batchAt(0, rowsOf(0, 3, USUAL)));
  expect(await sent()).toEqual(["rows"]);
  const mixed = [...rowsOf(3, 2, USUAL), ...rowsOf(5, 1, RARE), ...rowsOf(6, 1, BAD)];
  const totals = await load(await batchAt(0, rowsOf(0, 3, USUAL)), await batchAt(1, mixed));
  expect(totals).toEqual({ batches: 2, rows: 7, rejected: 1 });
  expect((await sent()).slice(2)).toEqual(["rows", "rare", "rejects"]);
  expect(await staged()).toEqual(all(6));
});

test("a file of rare forms sends their statement first, and needs no other", async () => {
  await server.admin("SYSTEM FLUSH LOGS");
  await server.admin("TRUNCATE TABLE system.query_log");
  const batches = [0, 3, 6].map((from, at) => batchAt(at, rowsOf(from, 3, RARE)));
  expect(await load(...(await Promise.all(batches)))).toMatchObject({ rows: 9, rejected: 0 });
  expect(await sent()).toEqual(["rows", "rare", "rare", "rare"]);
  expect(await staged()).toEqual(all(9));
});

test("a file with bad rows sends them right behind the good ones, once it is known that no others are left", async () => {
  await server.admin("SYSTEM FLUSH LOGS");
  await server.admin("TRUNCATE TABLE system.query_log");
  const bad = (from: number): string[][] => [
    ...rowsOf(from, 2, USUAL),
    ...rowsOf(from + 2, 1, BAD),
  ];
  const batches = [
    batchAt(0, bad(0)),
    batchAt(1, bad(3)),
    batchAt(2, [...bad(6), ...rowsOf(9, 1, RARE)]),
    batchAt(3, bad(10)),
  ];
  const totals = await load(...(await Promise.all(batches)));
  expect(totals).toEqual({ batches: 4, rows: 13, rejected: 4 });
  expect(await sent()).toEqual(
    [
      ["rows", "rare", "rejects"],
      ["rows", "rejects"],
      ["rows", "rejects", "rare"],
      ["rows", "rare", "rejects"],
    ].flat(),
  );
  const found = await server.rows<{ ids: number[] }>(
    "SELECT arraySort(groupArray(toUInt32(id))) AS ids FROM forms.t__stg_w",
  );
  expect(found).toEqual([{ ids: [0, 1, 3, 4, 6, 7, 9, 10, 11] }]);
});

test("sending the same batches again in another order of statements adds nothing", async () => {
  const rare = await batchAt(0, rowsOf(0, 3, RARE));
  const mixed = await batchAt(1, [...rowsOf(3, 2, USUAL), ...rowsOf(5, 2, RARE)]);
  // By itself it is tried as usual first; behind a batch of rare forms as rare first.
  await load(mixed);
  await load(rare, mixed);
  expect(await staged()).toEqual(all(7));
});

/** How many of the texts `t` of a query have a value in the usual form, and in how many it is another than the whole cast's. */
async function held(of: Field, texts: string): Promise<{ usual: number; other: number }> {
  const { value, usual = "NULL", shared } = castText("t", "v", of);
  const columns = shared.map(({ name, sql }) => `${sql} AS ${name}, `).join("");
  const [found] = await server.rows<{ usual: number; other: number }>(
    `SELECT toUInt32(countIf(isNotNull(u))) AS usual, toUInt32(countIf(isNotNull(u) AND (isNull(v) OR u != v))) AS other
     FROM (SELECT ${columns}${usual} AS u, ${value} AS v FROM (SELECT toNullable(text) AS t FROM (${texts})))
     SETTINGS short_circuit_function_evaluation = 'disable', date_time_input_format = 'basic', session_timezone = 'UTC', output_format_decimal_trailing_zeros = 0`,
  );
  if (found === undefined) throw new Error("no answer");
  return found;
}

const twoDigits = (number: string): string => `leftPad(toString(${number}), 2, '0')`;
/** Every day from year to year, and 19 months of 39 days besides. */
const days = (first: number, last: number, more: string): string =>
  `SELECT concat(toString(${first} + intDiv(number, 800)), '-', ${twoDigits("intDiv(number, 40) % 20")}, '-', ${twoDigits("number % 40")}, '${more}') AS text FROM numbers(${(last - first + 1) * 800})`;
/** Days of 400 years that begin with a leap year. */
const DAYS_OF_400_YEARS = 146_097;

test.each([
  ["date", ""],
  ["datetime", " 23:59:59"],
  ["datetime", "T00:00:00.000001"],
] as const)(
  "the usual form of a %s takes all days of 400 years, and no others: %j",
  async (kind, more) => {
    expect(await held(field("t", kind), days(1900, 2299, more))).toEqual({
      usual: DAYS_OF_400_YEARS,
      other: 0,
    });
    for (const [first, last] of [
      [1700, 1899],
      [2300, 2500],
    ] as const) {
      expect(await held(field("t", kind), days(first, last, more))).toEqual({ usual: 0, other: 0 });
    }
  },
);

test("the usual form of a datetime takes all times of a day, and no others", async () => {
  const times = `SELECT concat('2024-02-29 ', ${twoDigits("intDiv(number, 10000)")}, ':', ${twoDigits("intDiv(number, 100) % 100")}, ':', ${twoDigits("number % 100")}) AS text FROM numbers(1000000)`;
  expect(await held(field("t", "datetime"), times)).toEqual({ usual: 86_400, other: 0 });
  const fractions = [
    "",
    ".",
    ".5",
    ".123456",
    ".1234567",
    ".1234560",
    ",5",
    "Z",
    "+01:00",
    " ",
    "\\n",
  ];
  const texts = fractions.map((end) => `'2024-02-29 10:11:12${end}'`).join(", ");
  expect(await held(field("t", "datetime"), `SELECT arrayJoin([${texts}]) AS text`)).toEqual({
    usual: 3,
    other: 0,
  });
});

test.each([
  [12, 2],
  [9, 0],
  [18, 17],
  [38, 10],
  [4, 4],
])(
  "the usual form of a decimal(%i, %i) gives what the whole cast gives, or null",
  async (precision, scale) => {
    const of: Field = { ...field("t", "string"), type: { kind: "decimal", precision, scale } };
    const digits = (seed: number, most: number): string =>
      `substring(toString(cityHash64(number, ${seed})), 1, rand(${seed}) % ${most + 1})`;
    const texts = `SELECT concat(['', '-', '+', ' '][1 + rand(1) % 4], leftPad('', rand(2) % 3, '0'), ${digits(3, precision + 1)}, ['', '.', '.', 'e'][1 + rand(4) % 4], ${digits(5, scale + 2)}, ['', '0', '00', 'x'][1 + rand(6) % 4]) AS text FROM numbers(200000)`;
    const found = await held(of, texts);
    expect(found.other).toBe(0);
    if (precision > scale) expect(found.usual).toBeGreaterThan(1_000);
    else expect(found.usual).toBe(0);
  },
);
