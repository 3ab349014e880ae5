import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  createStaging,
  exportRejects,
  listRejects,
  loadBatches,
  loadSlices,
  prepareDomainTable,
  type Reject,
  resolveColumns,
  showRejects,
  summarizeRejects,
  verifyStaging,
} from "../src/index.ts";
import {
  batchOf,
  feedOf,
  field,
  manifestObject,
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
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS refused SYNC"));

const at = { source: "refused", name: "customers" };
const feed = feedOf([field("id", "integer"), field("v", "date")], { ...at, version: 4 });

async function stage(
  workflowId: string,
  { key, ...place }: { readonly key: string; readonly entry: string; readonly rowBase: number },
  rows: readonly TestRow[],
): Promise<void> {
  const object = { key, etag: '"e7"', ordinal: 5 };
  await stageRows(server, feed, rows, { ...place, workflowId, object });
}

test("a reject says where it was, what it was and why, and what a replay needs", async () => {
  await stage("w", { key: "a.zip", entry: "x/y.csv", rowBase: 1000 }, [
    ["1", "2024-01-01"],
    ["2", "30.02.2024"],
  ]);
  await showRejects(server.warehouse, feed, "w");
  const [reject] = await listRejects(server.warehouse, at, { limit: 10 });
  expect(reject).toEqual({
    workflowId: "w",
    key: "a.zip",
    etag: '"e7"',
    entry: "x/y.csv",
    row: 2,
    byteOffset: 20,
    stage: "cast",
    code: "bad_value",
    field: "v",
    value: "30.02.2024",
    message: "expected a date",
    record: '{"id":"2","v":"30.02.2024"}',
    feedVersion: 4,
    time: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/),
  });
  expect(
    await server.rows(
      "SELECT toString(_place) AS place, _columns AS columns FROM refused.customers__rejects",
    ),
  ).toEqual([
    {
      place: String((5n << 37n) + 1002n),
      columns: '[{"name":"id","type":"Nullable(String)"},{"name":"v","type":"Nullable(String)"}]',
    },
  ]);
});

test.each(["typed text", "Parquet", "ArrowStream"] as const)(
  "a row whose primary key is null is refused, as %s too",
  async (way) => {
    await prepareDomainTable(server.warehouse, feed);
    await createStaging(server.warehouse, at, "w");
    const columns = [
      { name: "id", type: "Nullable(Int64)" },
      { name: "v", type: "Nullable(Date32)" },
    ];
    const options = {
      warehouse: server.warehouse,
      feed,
      workflowId: "w",
      object: manifestObject(),
      entry: "",
      rowBase: 0,
      plan: resolveColumns(feed, columns),
    };
    if (way === "typed text") {
      const rows: TestRow[] = [
        ["1", "19782"],
        [null, "19782"],
      ];
      await loadBatches(options)(streamOf(await batchOf(server, rows)));
    } else {
      const select =
        "SELECT CAST([1, NULL] AS Array(Nullable(Int64)))[number + 1] AS id, toDate32('2024-02-29') AS v FROM numbers(2)";
      await loadSlices(options)(streamOf(await sliceOf(server, select, { format: way })));
    }
    expect(
      await server.rows(
        "SELECT toString(id) AS id, toString(v) AS v FROM refused.customers__stg_w",
      ),
    ).toEqual([{ id: "1", v: "2024-02-29" }]);
    expect(
      await server.rows("SELECT code, field, record FROM refused.customers__stg_w__rejects"),
    ).toEqual([{ code: "primary_key_null", field: "id", record: '{"id":null,"v":"19782"}' }]);
  },
);

test("a summary counts rows by reason, of all workflows or of one", async () => {
  await stage("w", { key: "a", entry: "", rowBase: 0 }, [
    ["x", "2024-01-01"],
    ["y", "x"],
    ["3", "x"],
    [null, "x"],
    { code: "malformed", raw: "a,b,c" },
  ]);
  await stage("other", { key: "a", entry: "", rowBase: 0 }, [["z", "2024-01-01"]]);
  await showRejects(server.warehouse, feed, "w");
  await showRejects(server.warehouse, feed, "other");
  expect(await summarizeRejects(server.warehouse, at, { workflowId: "w" })).toEqual([
    { stage: "cast", code: "bad_value", field: "id", rows: 2 },
    { stage: "cast", code: "bad_value", field: "v", rows: 1 },
    { stage: "cast", code: "primary_key_null", field: "id", rows: 1 },
    { stage: "parse", code: "malformed", field: "", rows: 1 },
  ]);
  expect((await summarizeRejects(server.warehouse, at))[0]?.rows).toBe(3);
});

describe("an export", () => {
  const all = async (workflowId?: string): Promise<Reject[]> => {
    const found: Reject[] = [];
    const filter = workflowId === undefined ? {} : { workflowId };
    for await (const reject of exportRejects(server.warehouse, at, filter)) found.push(reject);
    return found;
  };

  test.each([0, 1000, 1001])(
    "of %i rejects gives each of them once, in the order of their places, unchanged",
    async (count) => {
      const rows = Array.from({ length: count }, (_, n) => [`=${n}`, '@x,\n"y"']);
      await stage("w", { key: "a", entry: "", rowBase: 0 }, [["1", "2024-01-01"], ...rows]);
      await stage("v", { key: "a", entry: "", rowBase: 0 }, [["!", "2024-01-01"]]);
      await showRejects(server.warehouse, feed, "w");
      await showRejects(server.warehouse, feed, "v");
      const found = await all();
      expect(found.map(({ workflowId, row, value }) => [workflowId, row, value])).toEqual([
        ["v", 1, "!"],
        ...rows.map(([value], n) => ["w", n + 2, value]),
      ]);
      expect(await all("w")).toEqual(found.slice(1));
      expect(await listRejects(server.warehouse, at, { limit: 5000 })).toEqual(found);
    },
  );

  test("asks for no more at one time than a page of bytes, or one record", async () => {
    await prepareDomainTable(server.warehouse, feed);
    await server.admin(
      "INSERT INTO refused.customers__rejects (_workflow, _row, record) SELECT 'w', number, concat(toString(number), repeat('xxx', 1000000)) FROM numbers(5)",
    );
    const sizes: number[] = [];
    const { warehouse } = server;
    const watched = {
      ...warehouse,
      query: async <Row>(statement: string, parameters?: Record<string, unknown>) => {
        const found = await warehouse.query<Row>(statement, parameters);
        sizes.push(JSON.stringify(found).length);
        return found;
      },
    };
    let seen = 0;
    for await (const { record } of exportRejects(watched, at)) {
      expect(record).toMatch(new RegExp(`^${seen}x{100}`));
      seen++;
    }
    expect(seen).toBe(5);
    expect(Math.max(...sizes)).toBeLessThan(4_300_000);
  });
});

test("verification sums an object's entries, and judges the threshold for the whole load", async () => {
  const good: TestRow = ["1", "2024-01-01"];
  await stage("w", { key: "a.zip", entry: "1", rowBase: 0 }, [good, ["x", null]]);
  await stage("w", { key: "a.zip", entry: "2", rowBase: 2 }, [good, good, good]);
  await stage("w", { key: "b", entry: "", rowBase: 0 }, [good, good, good, good, good]);
  const verify = async (rows: number, errorThresholdPercent: number): Promise<unknown> =>
    await verifyStaging({
      warehouse: server.warehouse,
      feed: { ...feed, errorThresholdPercent },
      workflowId: "w",
      sent: [
        { key: "a.zip", rows, bucket: "theirs", etag: '"1"' },
        { key: "b", rows: 5 },
      ],
    });
  expect(await verify(5, 10)).toEqual({ rows: 9, rejected: 1 });
  await expect(verify(6, 10)).rejects.toMatchObject({ code: "unverified" });
  // Half of the first entry is refused, and a fifth of its object.
  await expect(verify(5, 9)).rejects.toMatchObject({
    stage: "cast",
    code: "threshold_exceeded",
    seen: "10.00 %",
    coordinate: { bucket: "theirs", key: "a.zip", etag: '"1"', entry: "1", row: 2 },
  });
});
