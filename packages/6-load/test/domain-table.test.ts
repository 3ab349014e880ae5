import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  countRows,
  createStaging,
  describeDomainTable,
  dropStaging,
  listRejects,
  lookAtDomainTable,
  prepareDomainTable,
  sampleRows,
  type Warehouse,
} from "../src/index.ts";
import {
  feedOf,
  field,
  privateTables,
  publishStaged,
  stageRows,
  startTestServer,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const allTypes = feedOf(
  [
    field("id", "integer"),
    field("b", "boolean"),
    field("d", "date"),
    field("t", "datetime"),
    field("m", "decimal"),
    field("f", "float"),
    field("s", "string"),
  ],
  { source: "tables", name: "all", primaryKey: ["id", "s"] },
);

describe("preparing a domain table", () => {
  test("makes a view with the fields and where each row came from", async () => {
    await prepareDomainTable(server.warehouse, allTypes);
    const columns = await describeDomainTable(server.warehouse, { source: "tables", name: "all" });
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "id Int64",
      "b Nullable(Bool)",
      "d Nullable(Date32)",
      "t Nullable(DateTime64(6, 'UTC'))",
      "m Nullable(Decimal(10, 2))",
      "f Nullable(Float64)",
      "s String",
      "_updated UInt128",
      "_file LowCardinality(String)",
      "_entry LowCardinality(String)",
      "_row UInt64",
      "_workflow LowCardinality(String)",
    ]);
  });

  test("may be done again, and by several at once", async () => {
    const feed = { ...allTypes, name: "together" };
    await Promise.all(
      [1, 2, 3, 4].map(async () => await prepareDomainTable(server.warehouse, feed)),
    );
    await prepareDomainTable(server.warehouse, feed);
    expect(await countRows(server.warehouse, { source: "tables", name: "together" })).toBe(0);
  });

  test("is looked at once, and changed by nothing, when all is as it should be", async () => {
    const feed = { ...allTypes, name: "prepared" };
    const before = await prepareDomainTable(server.warehouse, feed);
    const statements: string[] = [];
    const { warehouse } = server;
    const listening: Warehouse = {
      ...warehouse,
      query: async <Row>(statement: string, parameters?: Record<string, unknown>) => {
        statements.push(statement);
        return await warehouse.query<Row>(statement, parameters);
      },
      execute: async (statement) => {
        statements.push(statement);
        await warehouse.execute(statement);
      },
    };
    expect(await prepareDomainTable(listening, feed)).toEqual(before);
    expect(statements).toEqual([
      expect.stringMatching(/^SELECT/),
      expect.stringMatching(/^SELECT/),
    ]);
    await prepareDomainTable(listening, feed, before);
    expect(statements).toEqual([
      expect.stringMatching(/^SELECT/),
      expect.stringMatching(/^SELECT/),
    ]);
    // Seen too early, a table that is not there any more is made anew.
    await server.admin("DROP TABLE tables.prepared__rejects SYNC");
    await prepareDomainTable(listening, feed, { ...before, rejects: undefined });
    expect(await lookAtDomainTable(warehouse, { source: "tables", name: "prepared" })).toEqual(
      before,
    );
  });

  test("gives staging tables the same settings, whether they are made with them or get them afterwards", async () => {
    const feed = { ...allTypes, name: "staged" };
    const at = { source: "tables", name: "staged" };
    const seen = await prepareDomainTable(server.warehouse, feed);
    await createStaging(server.warehouse, at, "bare");
    await createStaging(server.warehouse, at, "made", seen);
    // What an attempt finds it does not trust: an older release makes its tables bare.
    await server.admin("CREATE TABLE tables.staged__stg_found AS tables.staged__rows");
    await createStaging(server.warehouse, at, "found", seen);
    // Out of a table that was a staging table, as all are after a truncate and load.
    await server.admin("EXCHANGE TABLES tables.staged__rows AND tables.staged__stg_bare");
    const again = await prepareDomainTable(server.warehouse, feed);
    await createStaging(server.warehouse, at, "again", again);
    const engines = async (suffix: string): Promise<Set<string>> => {
      const found = await server.rows<{ engine: string }>(
        `SELECT engine_full AS engine FROM system.tables WHERE database = 'tables'
         AND (name = 'staged__rows' AND '${suffix}' = '' OR match(name, '^staged__stg_(made|found|again)${suffix}$'))`,
      );
      return new Set(found.map(({ engine }) => engine));
    };
    const [ofRows, ...otherRows] = [...(await engines("")), ...(await engines("$"))];
    expect(otherRows.filter((engine) => engine !== ofRows)).toEqual([]);
    expect(ofRows).toMatch(
      /ORDER BY .* SETTINGS index_granularity = \d+, non_replicated_deduplication_window = 100000, max_bytes.*parts_to_throw_insert = 100000$/,
    );
    const ofRejects = [...(await engines("__rejects"))];
    expect(ofRejects).toHaveLength(1);
    expect(ofRejects[0]).toMatch(/, non_replicated_deduplication_window = 100000$/);
  });

  test("adds the columns of a newer version, and shows only that version's", async () => {
    const at = { source: "tables", name: "grown" };
    const first = feedOf([field("id", "integer"), field("old", "string")], at);
    await prepareDomainTable(server.warehouse, first);
    const second = feedOf([field("id", "integer"), field("new", "date")], { ...at, version: 2 });
    await prepareDomainTable(server.warehouse, second);
    const shown = (await describeDomainTable(server.warehouse, at)).map(({ name }) => name);
    expect(shown.slice(0, 3)).toEqual(["id", "new", "_updated"]);
    expect(
      (
        await server.rows<{ name: string }>(
          "SELECT name FROM system.columns WHERE database = 'tables' AND table = 'grown__rows'",
        )
      ).map(({ name }) => name),
    ).toEqual(expect.arrayContaining(["old", "new"]));
  });

  test("names every difference of a table that is not the feed's", async () => {
    const at = { source: "tables", name: "changed" };
    await prepareDomainTable(
      server.warehouse,
      feedOf([field("id", "integer"), field("a", "string"), field("k", "string")], at),
    );
    const other = feedOf([field("id", "string"), field("a", "integer"), field("k", "string")], {
      ...at,
      primaryKey: ["id", "k"],
    });
    await server.warehouse.execute("INSERT INTO tables.changed__rows (id, a) VALUES (1, 'x')");
    const failure = await prepareDomainTable(server.warehouse, other).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ stage: "load", code: "table_changed" });
    for (const part of [
      "column id is Int64, the feed wants String",
      "column a is Nullable(String), the feed wants Nullable(Int64)",
      "column k is Nullable(String), the feed wants String",
      "the sort key is (id), the feed's primary key is (id, k)",
    ]) {
      expect(String(failure)).toContain(part);
    }
  });

  test("makes a table anew that another version of its feed left without a row", async () => {
    const at = { source: "tables", name: "emptied" };
    await prepareDomainTable(server.warehouse, feedOf([field("id", "integer")], at));
    const other = feedOf([field("id", "string")], { ...at, version: 2 });
    await prepareDomainTable(server.warehouse, other);
    const [id] = await describeDomainTable(server.warehouse, at);
    expect(id).toEqual({ name: "id", type: "String" });
    const left = await server.rows<{ name: string }>(
      "SELECT name FROM system.tables WHERE database = 'tables' AND name LIKE 'emptied%' ORDER BY name",
    );
    expect(left.map(({ name }) => name)).toEqual(["emptied", "emptied__rejects", "emptied__rows"]);
  });

  test.each([
    ["a source of the server's own", { source: "SYSTEM" }],
    ["a source without a name", { source: "" }],
    ["a feed named like another's rows", { name: "customers__rows" }],
    ["a feed named like another's staging", { name: "customers__stg_1" }],
    ["a field named like a lineage column", { fields: [field("_row", "integer")] }],
    ["two fields of one name", { fields: [field("a", "integer"), field("A", "integer")] }],
    [
      "a decimal beyond 38 digits",
      { fields: [field("a", { kind: "decimal", precision: 39, scale: 0 })] },
    ],
    ["a primary key that is not loaded", { fields: [field("a", "integer", { include: false })] }],
    ["a last-updated field that is a date", { lastUpdatedField: "d" }],
  ])("refuses %s", async (_, more) => {
    const fields = "fields" in more ? more.fields : allTypes.fields;
    const feed = feedOf(fields, { source: "tables", ...more });
    await expect(prepareDomainTable(server.warehouse, feed)).rejects.toMatchObject({
      stage: "load",
      code: "rejected",
    });
  });
});

describe("reading a domain table", () => {
  test("gives sample rows that JSON carries without loss", async () => {
    const feed = { ...allTypes, name: "sample" };
    const at = { source: "tables", name: "sample" };
    await stageRows(server, feed, [
      [
        "9007199254740993",
        "yes",
        "2024-02-29",
        "2024-02-29T01:02:03.000004Z",
        "12345678.90",
        "0.1",
        "ü",
      ],
    ]);
    await publishStaged(server, feed);
    expect(await countRows(server.warehouse, at)).toBe(1);
    expect(await sampleRows(server.warehouse, at, 10)).toEqual([
      {
        id: "9007199254740993",
        b: true,
        d: "2024-02-29",
        t: "2024-02-29 01:02:03.000004",
        m: "12345678.9",
        f: 0.1,
        s: "ü",
        _updated: String((1n << 37n) + 1n),
        _file: "in/a.csv",
        _entry: "",
        _row: "1",
        _workflow: "w",
      },
    ]);
  });
});

// Attack Q1.
describe("names are data", () => {
  const names = [
    "a`; DROP TABLE canary.t; -- ",
    "a\\`b",
    "a\\",
    'a"b',
    "'",
    "' OR 1 = 1 --",
    "\\",
    "{p:String}",
    "line\nbreak",
    ";",
    "system.users",
    "db.table",
    "a%2fb/../c",
    "?query=DROP",
    "emoji 😀 ünd",
    "`",
    "\\'); DROP TABLE canary.t; --",
  ];

  test("in sources, feeds, columns, keys, entries and workflows, whatever their characters", {
    timeout: 60_000,
  }, async () => {
    await server.admin("CREATE DATABASE canary");
    await server.admin("CREATE TABLE canary.t (x Int8) ENGINE = MergeTree ORDER BY x");
    for (const name of names) {
      const at = { source: `s ${name}`, name };
      const feed = feedOf(
        [field("id", "integer", { incomingName: name }), field("v", "string")],
        at,
      );
      const rows = [
        ["1", name],
        [name, name],
      ];
      await stageRows(server, feed, rows, { workflowId: name, object: { key: name }, entry: name });
      expect(await privateTables(server, at)).toHaveLength(2);
      await publishStaged(server, feed, name, "truncate_and_load");
      await dropStaging(server.warehouse, at, name);
      expect(await privateTables(server, at)).toEqual([]);
      expect(await sampleRows(server.warehouse, at, 5)).toMatchObject([
        { id: "1", v: name, _file: name, _entry: name, _workflow: name },
      ]);
      const [reject] = await listRejects(server.warehouse, at, { workflowId: name, limit: 5 });
      expect(reject).toMatchObject({ workflowId: name, key: name, entry: name, value: name });
      expect(JSON.parse(reject?.record ?? "")).toEqual({ [name]: name, v: name });
    }
    expect(
      await server.rows(
        "SELECT toUInt8(count()) AS n FROM system.tables WHERE database = 'canary'",
      ),
    ).toEqual([{ n: 1 }]);
  });
});

test("a sample is the first rows of the primary key, whatever order they came in", async () => {
  const feed = feedOf([field("id", "integer"), field("d", "date")], {
    source: "tables",
    name: "order",
  });
  // Usual and rare forms of a date are inserted by statements of their own.
  const days = ["2024-02-29", "02/29/2024"];
  await stageRows(
    server,
    feed,
    Array.from({ length: 20 }, (_, i) => [String(20 - i), days[i % 2] ?? ""]),
  );
  await publishStaged(server, feed);
  const rows = await sampleRows(server.warehouse, { source: "tables", name: "order" }, 3);
  expect(rows.map(({ id }) => id)).toEqual(["1", "2", "3"]);
});
