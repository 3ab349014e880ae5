import type { Feed, SourceColumn } from "@sluice/schema";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createStaging,
  dropQuery,
  loadBatches,
  loadSlices,
  prepareDomainTable,
  prepareFileTables,
  type QueryTotals,
  queryDatabase,
  queryFields,
  removeStagedForQuery,
  resolveColumns,
  runIngestQuery,
  toFileFeed,
} from "../src/index.ts";
import {
  batchOf,
  feedOf,
  field,
  manifestObject,
  publishStaged,
  sliceOf,
  startTestServer,
  streamOf,
  type TestRow,
  type TestServer,
  textColumns,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

interface Given {
  readonly feed: Feed;
  readonly sql: string;
  readonly workflowId?: string;
}

const placeOf = ({ feed, sql, workflowId = "w" }: Given, tags: readonly string[]) => ({
  workflowId,
  feed,
  sql,
  tags,
});

/** Stages a file of text under a tag, as a load does. */
async function stage(
  given: Given,
  tags: readonly string[],
  tag: string,
  columns: readonly SourceColumn[],
  rows: readonly TestRow[],
  key = `${tag}.csv`,
  ordinal = 1,
): Promise<number> {
  const { workflowId = "w" } = given;
  const { warehouse } = server;
  await prepareDomainTable(warehouse, given.feed);
  await createStaging(warehouse, given.feed, workflowId);
  const file = toFileFeed(placeOf(given, tags), tag, columns);
  await prepareFileTables(warehouse, workflowId, tag, file);
  await loadBatches({
    warehouse,
    feed: file,
    workflowId,
    object: manifestObject({ key, ordinal }),
    entry: "",
    rowBase: 0,
    plan: resolveColumns(file, columns),
  })(streamOf(await batchOf(server, rows)));
  return rows.length;
}

async function run(
  given: Given,
  sent: Readonly<Record<string, number>>,
  tags: readonly string[],
  attempt = 1,
): Promise<QueryTotals> {
  const place = placeOf(given, tags);
  const { query } = server.server.users;
  const queryWarehouse = server.connect({
    username: query.name,
    password: query.password,
    database: queryDatabase(place),
  });
  return await runIngestQuery({
    ...place,
    warehouse: server.warehouse,
    queryWarehouse,
    attempt,
    ordinal: 1,
    sent: Object.entries(sent).map(([key, rows]) => ({ key, rows })),
  });
}

const staged = async (feed: Feed, workflowId = "w") =>
  await server.rows<{ n: number; sum: number }>(
    `SELECT toInt32(count()) AS n, toInt32(sum(id)) AS sum FROM ${feed.source}.${feed.name}__stg_${workflowId}`,
  );

describe("an ingest query", () => {
  test("leaves its whole result in staging once, whatever attempts there were before", async () => {
    const feed = feedOf([field("id", "integer"), field("n", "integer")], {
      id: "once",
      name: "once",
      errorThresholdPercent: 100,
    });
    const given = { feed, sql: "SELECT toInt64(id) AS id, n FROM t" };
    const rows = [
      ["1", "10"],
      ["2", "no"],
      { code: "malformed", raw: "bad" },
      ["3", "30"],
    ] as const;
    const sent = { "t.csv": await stage(given, ["t"], "t", textColumns(["id", "n"]), rows) };
    // Sent again: the same batch, and so the same rows.
    await stage(given, ["t"], "t", textColumns(["id", "n"]), rows);
    const first = await run(given, sent, ["t"], 1);
    expect(first).toMatchObject({ rows: 3, rejected: 1 });
    const again = await run(given, sent, ["t"], 2);
    expect(again).toMatchObject({ rows: 3, rejected: 1 });
    expect(await staged(feed)).toEqual([{ n: 2, sum: 4 }]);
    expect(
      await server.rows(
        "SELECT _file, stage, code, toInt32(_row) AS row, value FROM acme.once__stg_w__rejects ORDER BY _file, row",
      ),
    ).toEqual([
      { _file: "", stage: "cast", code: "bad_value", row: 2, value: "no" },
      { _file: "t.csv", stage: "parse", code: "malformed", row: 3, value: "bad" },
    ]);
    // What an attempt before left behind is not there any more: nobody can exchange it.
    expect(
      await server.rows(
        `SELECT name FROM system.tables WHERE database = '${queryDatabase(placeOf(given, ["t"]))}' AND startsWith(name, 'try_1')`,
      ),
    ).toEqual([]);
    await publishStaged(server, feed);
    expect(await server.rows("SELECT id, n, _file FROM acme.once ORDER BY id")).toEqual([
      { id: 1, n: 10, _file: "" },
      { id: 3, n: 30, _file: "" },
    ]);
    await dropQuery(server.warehouse, { feed, workflowId: "w" });
  });

  test("is not run over files of which a row is missing", async () => {
    const feed = feedOf([field("id", "integer")], { id: "short", name: "short" });
    const given = { feed, sql: "SELECT id FROM t" };
    await stage(given, ["t"], "t", textColumns(["id"]), [["1"]]);
    await expect(run(given, { "t.csv": 2 }, ["t"])).rejects.toMatchObject({ code: "unverified" });
  });

  test("gives every type to the casts without loss", async () => {
    const fields = [
      field("id", "integer"),
      ...["d", "far", "moment", "u", "list", "map", "lc", "nothing", "e", "fl"].map((name) =>
        field(name, "string"),
      ),
      field("day", "date"),
      field("at", "datetime"),
      field("dec", { kind: "decimal", precision: 20, scale: 4 }),
      field("yes", "boolean"),
    ];
    const feed = feedOf(fields, { id: "types", name: "types" });
    const sql = `SELECT id, toDecimal64('1.2500', 4) AS d, toDate32('2299-12-31') AS far,
        toDateTime64('2026-01-02 03:04:05.123456', 6) AS moment, toUUID('00000000-0000-0000-0000-000000000001') AS u,
        [1, 2] AS list, map('a', toDate('2026-01-02')) AS map, toLowCardinality('x') AS lc, NULL AS nothing,
        CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)') AS e, 0.1 AS fl, toDate('2026-01-02') AS day,
        toDateTime('2026-01-02 03:04:05', 'UTC') AS at, toDecimal128('123.4567', 4) AS dec, true AS yes
      FROM t`;
    const given = { feed, sql };
    const sent = { "t.csv": await stage(given, ["t"], "t", textColumns(["id"]), [["1"]]) };
    await run(given, sent, ["t"]);
    expect(
      await server.rows("SELECT * EXCEPT (_updated, _row, _workflow) FROM acme.types__stg_w"),
    ).toEqual([
      {
        id: 1,
        d: "1.25",
        far: "2299-12-31",
        moment: "2026-01-02 03:04:05.123456",
        u: "00000000-0000-0000-0000-000000000001",
        list: "[1,2]",
        map: '{"a":"2026-01-02"}',
        lc: "x",
        nothing: null,
        e: "b",
        fl: "0.1",
        day: "2026-01-02",
        at: "2026-01-02 03:04:05.000000",
        dec: 123.4567,
        yes: true,
        _file: "",
        _entry: "",
      },
    ]);
  });

  test("reads Parquet by its own types", async () => {
    const feed = feedOf([field("id", "integer"), field("sum", "integer")], {
      id: "parquet",
      name: "parquet",
    });
    const given = {
      feed,
      sql: "SELECT k AS id, sum(n) + length(any(tags)) AS sum FROM p GROUP BY k",
    };
    const columns = [
      { name: "k", type: "Nullable(Int32)" },
      { name: "n", type: "Nullable(Int64)" },
      { name: "tags", type: "Array(Nullable(String))" },
    ];
    const { warehouse } = server;
    await prepareDomainTable(warehouse, feed);
    await createStaging(warehouse, feed, "w");
    const file = toFileFeed(placeOf(given, ["p"]), "p", columns);
    await prepareFileTables(warehouse, "w", "p", file);
    await loadSlices({
      warehouse,
      feed: file,
      workflowId: "w",
      object: manifestObject({ key: "p" }),
      entry: "",
      rowBase: 0,
      plan: resolveColumns(file, columns),
    })(
      streamOf(
        await sliceOf(
          server,
          "SELECT toInt32(1) AS k, toInt64(number) AS n, ['a']::Array(Nullable(String)) AS tags FROM numbers(4)",
        ),
      ),
    );
    await run(given, { p: 4 }, ["p"]);
    // The list is JSON text: ["a"].
    expect(await staged(feed)).toEqual([{ n: 1, sum: 1 }]);
    expect(await server.rows("SELECT sum FROM acme.parquet__stg_w")).toEqual([{ sum: 11 }]);
  });

  test("lets the last-updated field tell rows of one key apart, and refuses what it cannot tell", async () => {
    const fields = [field("id", "integer"), field("seen", "integer")];
    const rows = [
      ["1", "5"],
      ["1", "6"],
      ["2", "7"],
    ] as const;
    const with_ = feedOf(fields, { id: "seen", name: "seen", lastUpdatedField: "seen" });
    const given = { feed: with_, sql: "SELECT * FROM t" };
    const sent = { "t.csv": await stage(given, ["t"], "t", textColumns(["id", "seen"]), rows) };
    const { warnings } = await run(given, sent, ["t"]);
    expect(warnings.join()).toContain("1 primary keys (id) stand in 2 rows");
    const without = { feed: feedOf(fields, { id: "unseen", name: "unseen" }), sql: given.sql };
    await stage(without, ["t"], "t", textColumns(["id", "seen"]), rows);
    await expect(run(without, sent, ["t"])).rejects.toMatchObject({ code: "duplicate_key" });
    expect(await staged(without.feed)).toEqual([{ n: 0, sum: 0 }]);
  });

  test("takes a name that only one of two files of records has for that file's", async () => {
    const feed = feedOf([field("id", "integer"), field("city", "string")], {
      id: "names",
      name: "names",
    });
    const tags = ["people", "places"];
    const given = { feed, sql: "SELECT id, city FROM people JOIN places ON place = key" };
    const place = placeOf(given, tags);
    const wanted = await queryFields(server.warehouse, place, "");
    expect(wanted.map(({ incomingName }) => incomingName)).toEqual([
      "_record",
      "id",
      "city",
      "place",
      "key",
    ]);
    const columns = wanted.map(({ incomingName: name, path }) => ({
      name,
      ...(path === undefined ? {} : { path }),
      type: "Nullable(String)",
    }));
    const sent = {
      "people.csv": await stage(given, tags, "people", columns, [["{}", "1", null, "x", null]]),
      "places.csv": await stage(given, tags, "places", columns, [["{}", null, "Oslo", null, "x"]]),
    };
    await run(given, sent, tags);
    expect(await server.rows("SELECT id, city FROM acme.names__stg_w")).toEqual([
      { id: 1, city: "Oslo" },
    ]);
  });

  test("reads nothing of a file that was removed before its query ran, and all of the others", async () => {
    const feed = feedOf([field("id", "integer")], { id: "removed", name: "removed" });
    const tags = ["a", "b"];
    const given = { feed, sql: "SELECT id FROM a UNION ALL SELECT id FROM b" };
    const bad = { code: "malformed", raw: "bad" } as const;
    const put = async (tag: string, key: string, ordinal: number, id: string): Promise<number> =>
      await stage(given, tags, tag, textColumns(["id"]), [[id], bad], key, ordinal);
    await put("a", "1.csv", 1, "1");
    await put("a", "2.csv", 2, "2");
    await put("b", "3.csv", 3, "4");
    // An archive's entries are of several tags.
    await put("b", "2.csv", 2, "8");
    const place = placeOf(given, tags);
    await removeStagedForQuery(server.warehouse, place, { ordinal: 2 });
    await removeStagedForQuery(server.warehouse, place, { ordinal: 2 });
    await run(given, { "1.csv": 2, "3.csv": 2 }, tags);
    expect(await staged(feed)).toEqual([{ n: 2, sum: 5 }]);
    expect(
      await server.rows("SELECT _file FROM acme.removed__stg_w__rejects ORDER BY _file"),
    ).toEqual([{ _file: "1.csv" }, { _file: "3.csv" }]);
  });

  test("refuses files of one tag whose columns have different types", async () => {
    const feed = feedOf([field("id", "integer")], { id: "differ", name: "differ" });
    const given = { feed, sql: "SELECT id FROM t" };
    await stage(given, ["t"], "t", textColumns(["id"]), [["1"]]);
    await expect(
      stage(given, ["t"], "t", [{ name: "id", type: "Nullable(Int64)" }], [["1"]], "u.csv"),
    ).rejects.toMatchObject({ code: "schema_mismatch" });
  });
});
