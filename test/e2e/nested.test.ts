import { Stage } from "@sluice/api/control/v1/failure_pb";
import { JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import avro from "avsc";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

async function load(
  name: string,
  spec: FeedSpec,
  bytes: Uint8Array | string,
  settings: FileSettings,
): Promise<Workflow> {
  await story.customer.put(name, bytes);
  const feedId = await story.feed("nested", name, spec);
  return await story.run(await story.courier({ feedId, key: name, settings }));
}

const ITEMS: FeedSpec = {
  fields: [
    { incomingName: "order", type: INTEGER, require: true },
    { incomingName: "city", path: "customer.address.city", type: STRING },
    { incomingName: "sku", path: "items.sku", type: STRING },
    { incomingName: "count", path: "items.count", type: INTEGER },
    { incomingName: "first_tag", path: "tags[0]", type: STRING },
    { incomingName: "tags", type: STRING },
  ],
  primaryKey: ["order", "sku"],
};
const EXPECTED = [
  { order: 1, city: "Köln", sku: "a", count: 2, first_tag: "new" },
  { order: 1, city: "Köln", sku: "b", count: 9007199254740993n, first_tag: "new" },
  { order: 2, city: null, sku: "c", count: 1, first_tag: null },
];
const SELECT =
  "SELECT order, city, sku, toString(count) AS count, first_tag FROM nested.`NAME` ORDER BY order, sku";

async function expectItems(name: string): Promise<void> {
  expect(await story.rows(SELECT.replace("NAME", name))).toEqual(
    EXPECTED.map((row) => ({ ...row, count: String(row.count) })),
  );
}

const ORDERS_JSON = `{"data":{"orders":[
  {"order":1,"customer":{"address":{"city":"K\\u00f6ln"}},"tags":["new","big"],
   "items":[{"sku":"a","count":2},{"sku":"b","count":9007199254740993}]},
  {"order":2,"customer":null,"items":[{"sku":"c","count":1}],"tags":[]},
  {"order":3,"items":[]}
]}}`;

test("JSON: records under a path, values by path, an array exploded into rows (PV-8)", async () => {
  const settings: FileSettings = {
    format: { case: "json", value: { recordPath: "data.orders", explodePath: "items" } },
  };
  const workflow = await load("json_items", ITEMS, ORDERS_JSON, settings);
  expect(workflow.failure).toBeUndefined();
  await expectItems("json_items");
  // The order without items gives no row, and that is said.
  const warnings = workflow.tasks.flatMap((task) => task.warnings);
  expect(warnings.join("\n")).toMatch(/1 record has no element/);
  expect(
    await story.rows("SELECT DISTINCT order, tags FROM nested.json_items ORDER BY order"),
  ).toEqual([
    { order: 1, tags: '["new","big"]' },
    { order: 2, tags: "[]" },
  ]);
});

test("XML: the same paths, repeated elements exploded (PV-8)", async () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<orders>
  <order><order>1</order><customer><address><city>Köln</city></address></customer>
    <tags>new</tags><tags>big</tags>
    <items><sku>a</sku><count>2</count></items><items><sku>b</sku><count>9007199254740993</count></items></order>
  <order><order>2</order><items><sku><![CDATA[c]]></sku><count>1</count></items></order>
</orders>`;
  const settings: FileSettings = {
    format: { case: "xml", value: { rowElement: "orders.order", explodePath: "items" } },
  };
  const workflow = await load("xml_items", ITEMS, xml, settings);
  expect(workflow.failure).toBeUndefined();
  await expectItems("xml_items");
});

test("Avro: nested records, logical types and unions arrive typed and exact", async () => {
  // Without a class for a logical type, avsc leaves its name out of the file.
  class Unchanged extends avro.types.LogicalType {
    protected override _fromValue(value: unknown): unknown {
      return value;
    }
    protected override _toValue(value: unknown): unknown {
      return value;
    }
  }
  const logicalTypes = { date: Unchanged, "timestamp-millis": Unchanged };
  const schema: avro.Schema = {
    type: "record",
    name: "Visit",
    fields: [
      { name: "id", type: "int" },
      {
        name: "place",
        type: [
          "null",
          { type: "record", name: "Place", fields: [{ name: "city", type: "string" }] },
        ],
      },
      { name: "day", type: { type: "int", logicalType: "date" } },
      { name: "seen", type: { type: "long", logicalType: "timestamp-millis" } },
      { name: "tags", type: { type: "array", items: "string" } },
    ],
  };
  const type = avro.Type.forSchema(schema, { logicalTypes });
  const encoder = new avro.streams.BlockEncoder(type);
  encoder.write({
    id: 1,
    place: { city: "Köln" },
    day: 19_782,
    seen: 1_700_000_000_123,
    tags: ["a", "b"],
  });
  encoder.write({ id: 2, place: null, day: 0, seen: 0, tags: [] });
  encoder.end();
  const parts: Buffer[] = [];
  for await (const part of encoder) parts.push(part);
  const spec: FeedSpec = {
    fields: [
      { incomingName: "ID", type: INTEGER },
      { incomingName: "city", path: "place.city", type: STRING },
      { incomingName: "day", type: { type: { case: "date", value: {} } } },
      { incomingName: "seen", type: { type: { case: "datetime", value: {} } } },
      { incomingName: "tags", type: STRING },
    ],
    primaryKey: ["ID"],
  };
  const workflow = await load("avro_visits", spec, Buffer.concat(parts), {
    format: { case: "avro", value: {} },
  });
  expect(workflow.failure).toBeUndefined();
  expect(
    await story.rows(
      "SELECT * EXCEPT (_updated, _file, _entry, _row, _workflow) FROM nested.avro_visits ORDER BY ID",
    ),
  ).toEqual([
    {
      ID: 1,
      city: "Köln",
      day: "2024-02-29",
      seen: "2023-11-14 22:13:20.123000",
      tags: '["a","b"]',
    },
    { ID: 2, city: null, day: "1970-01-01", seen: "1970-01-01 00:00:00.000000", tags: "[]" },
  ]);
});

test("Parquet: a nested column by path, and whole as JSON text", async () => {
  const result = await story.clickhouse.exec({
    query: `SELECT toInt64(number + 1) AS id,
              tuple(concat('city ', toString(number)), number * 2)::Tuple(city String, zip UInt64) AS place,
              range(number)::Array(UInt64) AS steps
            FROM numbers(3) FORMAT Parquet`,
  });
  const parts: Uint8Array[] = [];
  for await (const part of result.stream) parts.push(part as Uint8Array);
  const spec: FeedSpec = {
    fields: [
      { incomingName: "id", type: INTEGER },
      { incomingName: "city", path: "place.city", type: STRING },
      { incomingName: "second", path: "steps[1]", type: INTEGER },
      { incomingName: "place", type: STRING },
      { incomingName: "steps", type: STRING },
    ],
    primaryKey: ["id"],
  };
  const workflow = await load("parquet_places", spec, Buffer.concat(parts), {
    format: { case: "parquet", value: {} },
  });
  expect(workflow.failure).toBeUndefined();
  const rows = await story.rows<{ place: string; steps: string }>(
    "SELECT id, city, second, place, steps FROM nested.parquet_places ORDER BY id",
  );
  expect(
    rows.map((row) => ({ ...row, place: JSON.parse(row.place), steps: JSON.parse(row.steps) })),
  ).toEqual([
    { id: 1, city: "city 0", second: null, place: { city: "city 0", zip: 0 }, steps: [] },
    { id: 2, city: "city 1", second: null, place: { city: "city 1", zip: 2 }, steps: [0] },
    { id: 3, city: "city 2", second: 1, place: { city: "city 2", zip: 4 }, steps: [0, 1] },
  ]);
  const [task] = workflow.tasks.filter(({ route }) => route !== "");
  expect(task?.route).toMatch(/^parquet, row groups as they are, by range from S3: /);
});

describe("Parquet: a struct that holds a variant, which nothing reads,", () => {
  const METADATA = new Uint8Array([1, 0, 0]);
  const bytes = new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "id", data: [1] },
        { name: "s", data: [{ n: 7, v: { metadata: METADATA, value: new Uint8Array([12, 1]) } }] },
      ],
      schema: [
        { name: "root", num_children: 2 },
        { name: "id", type: "INT32", repetition_type: "REQUIRED" },
        { name: "s", num_children: 2, repetition_type: "REQUIRED" },
        { name: "n", type: "INT32", repetition_type: "REQUIRED" },
        {
          name: "v",
          num_children: 2,
          repetition_type: "REQUIRED",
          logical_type: { type: "VARIANT" },
        },
        { name: "metadata", type: "BYTE_ARRAY", repetition_type: "REQUIRED" },
        { name: "value", type: "BYTE_ARRAY", repetition_type: "REQUIRED" },
      ],
    }),
  );
  const PARQUET: FileSettings = { format: { case: "parquet", value: {} } };
  const ID = { incomingName: "id", type: INTEGER };

  test("gives its other members by path", async () => {
    const spec = { fields: [ID, { incomingName: "n", path: "s.n", type: INTEGER }] };
    const name = "variant_beside";
    const workflow = await load(name, { ...spec, primaryKey: ["id"] }, bytes, PARQUET);
    expect(workflow.failure).toBeUndefined();
    expect(await story.rows(`SELECT id, n FROM nested.${name}`)).toEqual([{ id: 1, n: 7 }]);
  });

  test.each([
    ["whole", { incomingName: "s", type: STRING }],
    ["by a path to the variant", { incomingName: "v", path: "s.v", type: STRING }],
    ["by a path into the variant", { incomingName: "v", path: "s.v.value", type: STRING }],
  ])("is refused %s", async (how, field) => {
    const name = `variant_${how.replaceAll(" ", "_")}`;
    const spec = { fields: [ID, field], primaryKey: ["id"] };
    const { failure } = await load(name, spec, bytes, PARQUET);
    expect(failure).toMatchObject({ stage: Stage.PARSE, code: "unsupported_feature" });
    expect(failure?.message).toContain('"s.v"');
  });
});

describe("records that name their own fields", () => {
  const LINES: FileSettings = {
    format: { case: "json", value: { shape: JsonSettings_Shape.LINES } },
  };

  test("a required member that no record has fails the load with every difference at once", async () => {
    const spec: FeedSpec = {
      fields: [
        { incomingName: "id", type: INTEGER, require: true },
        { incomingName: "email", type: STRING, require: true },
        { incomingName: "phone", type: STRING, require: true },
      ],
      primaryKey: ["id"],
    };
    const workflow = await load("absent", spec, '{"id":1,"mail":"x"}\n{"id":2}\n', LINES);
    expect(workflow.state).toBe(Workflow_State.FAILED);
    expect(workflow.failure).toMatchObject({
      stage: Stage.CAST,
      code: "schema_mismatch",
      message: expect.stringMatching(/"email".*"phone"/),
    });
  });

  test.each<[string, string, FileSettings, RegExp]>([
    [
      "no record has an element to explode",
      '{"id":1,"items":[]}\n{"id":2}\n',
      {
        format: {
          case: "json",
          value: { shape: JsonSettings_Shape.LINES, explodePath: "items" },
        },
      },
      /2 records have no element at explodePath, and gave no row/,
    ],
    [
      "a document is empty, of a root that is not the expected one",
      "<export/>",
      { format: { case: "xml", value: { rowElement: "orders.order" } } },
      /no element is a record by rowElement orders.order; the root is export/,
    ],
  ])("a load of no rows because %s says so", async (why, bytes, settings, warning) => {
    const spec: FeedSpec = {
      fields: [{ incomingName: "id", type: INTEGER, require: true }],
      primaryKey: ["id"],
    };
    const workflow = await load(why.split(" ").slice(0, 2).join("_"), spec, bytes, settings);
    expect(workflow.failure).toBeUndefined();
    expect(workflow.tasks.flatMap((task) => task.warnings).join()).toMatch(warning);
  });

  test("members that no field takes are a warning", async () => {
    const spec: FeedSpec = {
      fields: [{ incomingName: "id", type: INTEGER, require: true }],
      primaryKey: ["id"],
    };
    const workflow = await load(
      "extra",
      spec,
      '{"id":1,"mail":"x"}\n{"id":2,"__proto__":{}}\n',
      LINES,
    );
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    const warnings = workflow.tasks.flatMap((task) => task.warnings).join();
    expect(warnings).toContain('"mail"');
    expect(warnings).toContain('"__proto__"');
  });

  test("a line that is no record is rejected with its place, and the others load", async () => {
    const spec: FeedSpec = {
      fields: [{ incomingName: "id", type: INTEGER, require: true }],
      primaryKey: ["id"],
      errorThresholdPercent: 50,
    };
    const name = "broken_line";
    await story.customer.put(name, '{"id":1}\n{"id":\n{"id":3}\n');
    const feedId = await story.feed("nested", name, spec);
    const workflow = await story.run(await story.courier({ feedId, key: name, settings: LINES }));
    expect(workflow.failure).toBeUndefined();
    expect(await story.rows("SELECT id FROM nested.broken_line ORDER BY id")).toEqual([
      { id: 1 },
      { id: 3 },
    ]);
    const { rejects } = await story.tables.listRejects({ feedId });
    expect(rejects).toMatchObject([
      { row: 2n, byteOffset: 9n, stage: "parse", code: "malformed", key: name },
    ]);
  });
});
