import type { Feed, SourceColumn } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  countRejects,
  createStaging,
  listRejects,
  loadSlices,
  prepareDomainTable,
  publishReplayedRejects,
  replayRejects,
  resolveColumns,
  type Warehouse,
} from "../src/index.ts";
import { crashing } from "./crashing.ts";
import {
  feedOf,
  field,
  manifestObject,
  publishStaged,
  sliceOf,
  stageRows,
  startTestServer,
  streamOf,
  type TestRow,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const at = { source: "again", name: "customers" };
const narrow = feedOf(
  [
    field("id", "integer"),
    field("amount", "decimal"),
    field("day", "date"),
    field("note", "string"),
  ],
  at,
);
/** The same feed, once somebody has said how its numbers and days are written. */
const mended: Feed = {
  ...narrow,
  version: 2,
  fields: [
    field("id", "integer", { thousandsSeparator: ".", decimalSeparator: "," }),
    field("amount", "decimal", { decimalSeparator: "," }),
    field("day", "date", { format: "dd.MM.yyyy" }),
    field("note", "string"),
  ],
};

beforeEach(async () => {
  await server.admin("DROP DATABASE IF EXISTS again SYNC");
});

async function load(
  feed: Feed,
  workflowId: string,
  ordinal: number,
  rows: readonly TestRow[],
): Promise<void> {
  const object = { ordinal, key: `${workflowId}.csv` };
  await stageRows(server, feed, rows, { workflowId, object, entry: "e", rowBase: 100 });
  await publishStaged(server, feed, workflowId);
}

const ROWS: readonly TestRow[] = [
  ["1", "1.50", "2024-02-29", "good"],
  ["1.002", "2,50", "29.02.2024", 'ü "quoted" \\ / \u0000 \n'],
  ["3", "3,5", "01.03.2024", null],
  ["1.004", "4,25", "02.03.2024", ""],
  { code: "malformed", raw: "not,cut" },
];

const table = async (): Promise<unknown[]> =>
  await server.rows(
    "SELECT toString(id) AS id, toString(amount) AS amount, toString(day) AS day, note, _file, _entry, toString(_row) AS row, _workflow, toString(_updated) AS updated FROM again.customers ORDER BY length(id), id",
  );

const replayed = [
  { id: "3", amount: "3.5", day: "2024-03-01", note: null, row: "3" },
  { id: "1002", amount: "2.5", day: "2024-02-29", note: 'ü "quoted" \\ / \u0000 \n', row: "2" },
  { id: "1004", amount: "4.25", day: "2024-03-02", note: "", row: "4" },
].map((row) => ({
  ...row,
  _file: "w.csv",
  _entry: "e",
  _workflow: "replay",
  updated: String((7n << 37n) + 100n + BigInt(row.row)),
}));

async function replayWhole(warehouse: Warehouse): Promise<void> {
  await replayRejects(warehouse, mended, "replay", { workflowId: "w" });
  await publishStaged({ warehouse }, mended, "replay");
  await publishReplayedRejects(warehouse, mended, "replay");
}

describe("a replay", () => {
  beforeEach(async () => await load(narrow, "w", 7, ROWS));

  test("heals every reject that the feed now takes, under its own place and version", async () => {
    expect(await countRejects(server.warehouse, at)).toBe(4);
    expect(await replayRejects(server.warehouse, mended, "replay")).toEqual({
      healed: 3,
      refused: 0,
      skipped: 1,
      warnings: [],
    });
    expect(await countRejects(server.warehouse, at)).toBe(4);
    await publishStaged(server, mended, "replay");
    await publishReplayedRejects(server.warehouse, mended, "replay");
    const [first, ...others] = await table();
    expect(first).toMatchObject({ id: "1", _workflow: "w" });
    expect(others).toEqual(replayed);
    expect(await listRejects(server.warehouse, at, { limit: 10 })).toMatchObject([
      { stage: "parse", code: "malformed", record: "not,cut", workflowId: "w" },
    ]);
    await server.admin("OPTIMIZE TABLE again.customers__rejects FINAL");
    expect(await countRejects(server.warehouse, at)).toBe(1);
  });

  test("done twice changes nothing", async () => {
    await replayWhole(server.warehouse);
    const once = await table();
    await publishReplayedRejects(server.warehouse, mended, "replay");
    expect(await replayRejects(server.warehouse, mended, "again")).toMatchObject({
      healed: 0,
      refused: 0,
    });
    await publishStaged(server, mended, "again");
    await publishReplayedRejects(server.warehouse, mended, "again");
    expect(await table()).toEqual(once);
    expect(await countRejects(server.warehouse, at)).toBe(1);
  });

  test("that begins anew before it was published heals the same", async () => {
    await replayRejects(server.warehouse, mended, "replay");
    expect(await replayRejects(server.warehouse, mended, "replay")).toMatchObject({ healed: 3 });
    await publishStaged(server, mended, "replay");
    await publishReplayedRejects(server.warehouse, mended, "replay");
    expect((await table()).slice(1)).toEqual(replayed);
  });

  test("does not win over a newer row of the same key", async () => {
    await load(mended, "newer", 8, [["1.004", "9,99", "05.03.2024", "newer"]]);
    await replayWhole(server.warehouse);
    expect((await table()).at(-1)).toMatchObject({ id: "1004", note: "newer", _workflow: "newer" });
    expect(await countRejects(server.warehouse, at)).toBe(1);
  });

  test("gives rows that are refused again their new reason, and keeps them whole", async () => {
    const other: Feed = {
      ...mended,
      version: 3,
      fields: mended.fields.map((one) =>
        one.name === "day" ? { ...one, format: "yyyy-MM-dd" } : one,
      ),
    };
    const before = await listRejects(server.warehouse, at, { limit: 10 });
    expect(await replayRejects(server.warehouse, other, "replay")).toMatchObject({
      healed: 0,
      refused: 3,
    });
    await publishStaged(server, other, "replay");
    await publishReplayedRejects(server.warehouse, other, "replay");
    const after = await listRejects(server.warehouse, at, { limit: 10 });
    expect(after.slice(0, 3)).toMatchObject([
      { row: 2, field: "day", value: "29.02.2024", code: "bad_value", feedVersion: 3 },
      { row: 3, field: "day", value: "01.03.2024", code: "bad_value", feedVersion: 3 },
      { row: 4, field: "day", value: "02.03.2024", code: "bad_value", feedVersion: 3 },
    ]);
    expect(after.map(({ record }) => record)).toEqual(before.map(({ record }) => record));
    await replayWhole(server.warehouse);
    expect(await countRejects(server.warehouse, at)).toBe(1);
  });

  test("leaves what the records lack, and rejects of other workflows and earlier objects", async () => {
    const wider: Feed = {
      ...mended,
      fields: [...mended.fields, field("extra", "string", { require: true })],
    };
    const totals = await replayRejects(server.warehouse, wider, "replay");
    expect(totals).toMatchObject({ healed: 0, refused: 0, skipped: 4 });
    expect(totals.warnings).toEqual([
      '3 rejects stay as they are: the required column "extra" is absent',
    ]);
    expect(
      await replayRejects(server.warehouse, mended, "replay", { workflowId: "other" }),
    ).toMatchObject({ healed: 0, skipped: 0 });
    expect(
      await replayRejects(server.warehouse, mended, "replay", { fromOrdinal: 8 }),
    ).toMatchObject({ healed: 0, skipped: 0 });
    expect(
      await replayRejects(server.warehouse, mended, "replay", { fromOrdinal: 7 }),
    ).toMatchObject({ healed: 3 });
  });

  test("takes no reject away before its row is published", async () => {
    const early = async (): Promise<void> =>
      await publishReplayedRejects(server.warehouse, mended, "replay");
    await early();
    await replayRejects(crashing(server.warehouse, /^RENAME/, "before"), mended, "replay").catch(
      () => undefined,
    );
    await expect(early()).rejects.toMatchObject({ stage: "publish", code: "conflict" });
    await replayRejects(server.warehouse, mended, "replay");
    await expect(early()).rejects.toMatchObject({ stage: "publish", code: "conflict" });
    expect(await countRejects(server.warehouse, at)).toBe(4);
    await publishStaged(server, mended, "replay");
    await early();
    expect(await countRejects(server.warehouse, at)).toBe(1);
  });

  const steps = [
    /^SELECT name, toString\(uuid\)/,
    /^CREATE TABLE .*__replaying`/,
    /^INSERT INTO .*__replaying`/,
    /^INSERT INTO .*__stg_replay` /,
    /SELECT DISTINCT _file/,
    /^RENAME .*__replayed`/,
    /^RENAME .*__pub_replay_1`/,
    /MOVE PARTITION.*__rows` /,
    /^INSERT INTO .*customers__rejects`/,
  ];
  // What crashes before a step has crashed after the one before it.
  test.each(steps)(
    "that crashes after %s ends in the same rows when it is done again",
    async (step) => {
      await expect(replayWhole(crashing(server.warehouse, step, "after"))).rejects.toThrow(
        "crashed",
      );
      await replayWhole(server.warehouse);
      expect((await table()).slice(1)).toEqual(replayed);
      expect(await countRejects(server.warehouse, at)).toBe(1);
    },
  );
});

describe("a replay of typed columns", () => {
  const select = `SELECT number AS id, 'not a number' AS bad,
    toFloat64([0.1, nan, 1e300][number + 1]) AS f,
    toDecimal128(['1.2345', '-0.0001', '99999999.9999'][number + 1], 4) AS m,
    toDateTime64('2024-02-29 01:02:03.000004', 6, 'UTC') AS t,
    toDate32('2024-02-29') AS d,
    CAST([NULL, true, false][number + 1] AS Nullable(Bool)) AS b,
    unhex(['ff00fe', '', '5c27220a'][number + 1]) AS bytes,
    toFixedString(unhex('610000'), 3) AS fixed,
    [1, NULL, 9007199254740993]::Array(Nullable(Int64)) AS list,
    CAST((7, unhex('ff'), [1.5, nan], toDate32('2024-02-29')), 'Tuple(a Int64, b String, c Array(Float64), d Date32)') AS nested,
    map('k', 1)::Map(String, Int64) AS pairs
    FROM numbers(3)`;
  const columns: readonly SourceColumn[] = [
    ["id", "UInt64"],
    ["bad", "Nullable(String)"],
    ["f", "Nullable(Float64)"],
    ["m", "Nullable(Decimal(38, 4))"],
    ["t", "Nullable(DateTime64(6, 'UTC'))"],
    ["d", "Nullable(Date32)"],
    ["b", "Nullable(Bool)"],
    ["bytes", "Nullable(String)"],
    ["fixed", "Nullable(FixedString(3))"],
    ["list", "Array(Nullable(Int64))"],
    ["nested", "Tuple(a Int64, b String, c Array(Float64), d Date32)"],
    ["pairs", "Map(String, Int64)"],
  ].map(([name = "", type = ""]) => ({ name, type }));
  const typed = feedOf(
    [
      field("id", "integer"),
      field("bad", "integer"),
      field("f", "float", { nonFinite: "keep" }),
      field("m", { kind: "decimal", precision: 12, scale: 4 }),
      field("t", "datetime"),
      field("d", "date"),
      field("b", "boolean"),
      field("bytes", "string"),
      field("fixed", "string"),
      field("list", "string"),
      field("nested", "string"),
      field("pairs", "string"),
      field("part", "date", { path: "nested.d" }),
    ],
    at,
  );
  // What the records hold is what the file would have given to a feed without the bad field.
  const without = (name: string): Feed => ({
    ...typed,
    name,
    version: 2,
    fields: typed.fields.map((one) => (one.name === "bad" ? { ...one, include: false } : one)),
  });
  const values = async (name: string): Promise<unknown[]> =>
    await server.rows(
      `SELECT id, toString(f) AS f, toString(m) AS m, toString(t) AS t, toString(d) AS d, toString(b) AS b, hex(bytes) AS bytes, hex(fixed) AS fixed, list, hex(nested) AS nested, pairs, toString(part) AS part FROM again.${name} ORDER BY id`,
    );

  test.each(["Parquet", "ArrowStream"] as const)(
    "of %s casts the same as the file itself, bytes and nested values too",
    async (format) => {
      const loadSlice = async (feed: Feed, workflowId: string): Promise<void> => {
        await prepareDomainTable(server.warehouse, feed);
        await createStaging(server.warehouse, { source: at.source, name: feed.name }, workflowId);
        await loadSlices({
          warehouse: server.warehouse,
          feed,
          workflowId,
          object: manifestObject(),
          entry: "",
          rowBase: 0,
          plan: resolveColumns(feed, columns),
        })(streamOf(await sliceOf(server, select, { format })));
        await publishStaged(server, feed, workflowId);
      };
      await loadSlice(typed, "w");
      await loadSlice(without("direct"), "direct");
      expect(await countRejects(server.warehouse, at)).toBe(3);
      const [reject] = await listRejects(server.warehouse, at, { limit: 1 });
      expect(JSON.parse(reject?.record ?? "")).toMatchObject({
        id: "0",
        bad: "not a number",
        f: "0.1",
        bytes: { base64: "/wD+" },
        list: "[1,NULL,9007199254740993]",
      });
      expect(await replayRejects(server.warehouse, without("customers"), "r")).toMatchObject({
        healed: 3,
        refused: 0,
      });
      await publishStaged(server, without("customers"), "r");
      await publishReplayedRejects(server.warehouse, without("customers"), "r");
      const direct = await values("direct");
      expect(direct).toHaveLength(3);
      expect(await values("customers")).toEqual(direct);
      expect(await countRejects(server.warehouse, at)).toBe(0);
    },
  );
});

test("rejects of an older release stay readable, and their table takes new ones", async () => {
  await server.admin("CREATE DATABASE again");
  await server.admin(
    "CREATE TABLE again.customers__rejects (_workflow LowCardinality(String), _file LowCardinality(String), _entry LowCardinality(String), _row UInt64, _offset UInt64, stage LowCardinality(String), code LowCardinality(String), field LowCardinality(String), value String, message LowCardinality(String), record String, time DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree ORDER BY (_workflow, _file, _entry, _row)",
  );
  await server.admin(
    "INSERT INTO again.customers__rejects VALUES ('old', 'old.csv', '', 1, 0, 'cast', 'bad_value', 'id', 'x', 'm', '{\"id\":\"x\"}', now64(3))",
  );
  // The workflow that was under way had its own table, of the older shape.
  await server.admin("CREATE TABLE again.customers__stg_w__rejects AS again.customers__rejects");
  await load(narrow, "w", 7, ROWS);
  expect(await countRejects(server.warehouse, at)).toBe(5);
  expect(await listRejects(server.warehouse, at, { workflowId: "old", limit: 9 })).toMatchObject([
    { key: "old.csv", etag: "", feedVersion: 0, record: '{"id":"x"}' },
  ]);
  const totals = await replayRejects(server.warehouse, mended, "replay");
  expect(totals).toMatchObject({ healed: 3, refused: 0, skipped: 2 });
  expect(totals.warnings).toEqual([
    "1 rejects of an older release have no types and stay as they are",
  ]);
});
