import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { Compression } from "@sluice/api/control/v1/file_settings_pb";
import { Task_Kind, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CSV,
  DAY,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  PARQUET,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const PEOPLE: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "Name", name: "name", type: STRING },
    { incomingName: "since", type: { type: { case: "date", value: {} } } },
    {
      incomingName: "score",
      type: { type: { case: "decimal", value: { precision: 6, scale: 2 } } },
    },
    { incomingName: "active", type: { type: { case: "boolean", value: {} } } },
  ],
  primaryKey: ["id"],
};
const PEOPLE_CSV = `id,NAME,since,score,active
1,"Smith, ""Jr.""",2024-02-29,12.50,yes
2,日向,20250131,-7,0
3,,,,
`;

async function encryptedTo(armoredKey: string, bytes: Uint8Array): Promise<Uint8Array> {
  const message = await createMessage({ binary: bytes });
  const encryptionKeys = await readKey({ armoredKey });
  return (await encrypt({ message, encryptionKeys, format: "binary" })) as Uint8Array;
}

test("a connection is tested: role assumed, bucket reached, wrong external id refused (CR-2, CR-9, CR-23)", async () => {
  const { status } = await story.credentials.testCredential({ id: story.credentialId });
  expect(status).toMatchObject({ summary: "Connection successful", successful: true });
  expect(status?.checks).toHaveLength(5);
});

test("a bucket is browsed by folder and by page", async () => {
  for (const name of ["a", "b", "c"]) await story.customer.put(`browse/${name}.csv`, "id\n1\n");
  await story.customer.put("browse/deep/d.csv", "id\n1\n");
  const { credentialId, sources } = story;
  const first = await sources.browseObjects({
    credentialId,
    prefix: "browse/",
    delimiter: "/",
    pageSize: 2,
  });
  expect(first.objects.map(({ key }) => key)).toEqual(["browse/a.csv", "browse/b.csv"]);
  const second = await sources.browseObjects({
    credentialId,
    prefix: "browse/",
    delimiter: "/",
    pageToken: first.nextPageToken,
  });
  expect(second.objects.map(({ key, size }) => ({ key, size }))).toEqual([
    { key: "browse/c.csv", size: 5n },
  ]);
  expect(second.prefixes).toEqual(["browse/deep/"]);
  expect(second.nextPageToken).toBe("");
});

test("a CSV file becomes typed rows, with what each column means (SC-2, FE-1, FE-12)", async () => {
  await story.customer.put(`people/${DAY}.csv`, PEOPLE_CSV);
  const feedId = await story.feed("crm", "people", PEOPLE);
  const courierId = await story.courier({ feedId, pattern: "'people/'yyyy-MM-dd'.csv'" });
  const workflow = await story.run(courierId);
  expect(workflow).toMatchObject({
    state: Workflow_State.SUCCEEDED,
    totals: { rows: 3n, rejectedRows: 0n },
  });
  expect(
    await story.rows("SELECT id, name, since, score, active FROM crm.people ORDER BY id"),
  ).toEqual([
    { id: 1, name: 'Smith, "Jr."', since: "2024-02-29", score: 12.5, active: true },
    { id: 2, name: "日向", since: "2025-01-31", score: -7, active: false },
    { id: 3, name: null, since: null, score: null, active: null },
  ]);

  const { domainTable } = await story.tables.getDomainTable({ feedId });
  expect(domainTable).toMatchObject({ database: "crm", table: "people", exists: true, rows: 3n });
  expect(domainTable?.columns.map(({ name }) => name).slice(0, 5)).toEqual([
    "id",
    "name",
    "since",
    "score",
    "active",
  ]);
  const { rows } = await story.tables.sampleRows({ feedId, maxRows: 1 });
  expect(rows[0]?.values).toMatchObject({ id: "1", name: 'Smith, "Jr."', active: true });
  const { loads } = await story.tables.listLoads({ feedId });
  expect(loads).toMatchObject([{ workflowId: workflow.id, rows: 3n, rejectedRows: 0n }]);
});

test("loading upserts on the primary key, and loading again changes nothing (FE-8)", async () => {
  const feedId = await story.feed("crm", "upserts", PEOPLE);
  await story.customer.put("upserts.csv", PEOPLE_CSV);
  const courierId = await story.courier({ feedId, key: "upserts.csv" });
  await story.run(courierId);
  await story.run(courierId);
  expect(await story.rows("SELECT count() AS n FROM crm.upserts")).toEqual([{ n: 3 }]);
  await story.customer.put("upserts.csv", "id,name\n2,Hinata\n4,New\n");
  const workflow = await story.run(courierId);
  expect(workflow.tasks.flatMap(({ warnings }) => warnings)).not.toEqual([]);
  expect(await story.rows("SELECT id, name FROM crm.upserts ORDER BY id")).toEqual([
    { id: 1, name: 'Smith, "Jr."' },
    { id: 2, name: "Hinata" },
    { id: 3, name: null },
    { id: 4, name: "New" },
  ]);
});

test("truncate and load replaces every row, and readers never see an empty table (FE-7)", async () => {
  const feedId = await story.feed("crm", "replaced", PEOPLE);
  await story.customer.put("replaced.csv", PEOPLE_CSV);
  const courierId = await story.courier({
    feedId,
    key: "replaced.csv",
    operation: LoadOperation.TRUNCATE_AND_LOAD,
  });
  await story.run(courierId);
  await story.customer.put("replaced.csv", "id,name\n8,Eight\n9,Nine\n");
  let reading = true;
  const seen = new Set<number>();
  const watching = (async () => {
    while (reading) {
      const [row] = await story.rows<{ n: number }>("SELECT count() AS n FROM crm.replaced");
      seen.add(row?.n ?? -1);
    }
  })();
  expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);
  reading = false;
  await watching;
  expect(await story.rows("SELECT id, name FROM crm.replaced ORDER BY id")).toEqual([
    { id: 8, name: "Eight" },
    { id: 9, name: "Nine" },
  ]);
  expect([...seen].filter((n) => n !== 3 && n !== 2)).toEqual([]);
});

describe("layers come off in their order", () => {
  const semicolons = PEOPLE_CSV.replaceAll(",", ";");

  test("gzip, found by its bytes", async () => {
    const feedId = await story.feed("layers", "gzip", PEOPLE);
    await story.customer.put("gzip.txt", gzipSync(PEOPLE_CSV));
    const workflow = await story.run(await story.courier({ feedId, key: "gzip.txt" }));
    expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 3n } });
  });

  test("OpenPGP to a key around gzip around text with semicolons (CO-12)", async () => {
    const { publicKey, privateKey } = await generateKey({
      userIDs: [{ name: "Acme" }],
      passphrase: "correct horse",
    });
    const { credential } = await story.credentials.createCredential({
      credential: {
        name: "PGP key",
        kind: {
          case: "pgp",
          value: { privateKeyBlock: privateKey, passphrase: "correct horse" },
        },
      },
    });
    expect(credential?.kind.value).toMatchObject({ privateKeyBlock: "", passphrase: "" });
    const feedId = await story.feed("layers", "pgp", PEOPLE);
    await story.customer.put(
      "people.csv.gz.pgp",
      await encryptedTo(publicKey, gzipSync(semicolons)),
    );
    const settings: FileSettings = {
      encryption: { case: "pgp" as const, value: { credentialId: credential?.id ?? "" } },
      compression: Compression.GZIP,
      format: { case: "delimited" as const, value: { delimiter: ";" } },
    };
    const workflow = await story.run(
      await story.courier({ feedId, key: "people.csv.gz.pgp", settings }),
    );
    expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 3n } });
  });

  test("OpenPGP to a passphrase", async () => {
    const { credential } = await story.credentials.createCredential({
      credential: {
        name: "PGP phrase",
        kind: { case: "pgp", value: { passphrase: "open sesame" } },
      },
    });
    const feedId = await story.feed("layers", "phrase", PEOPLE);
    const message = await createMessage({ text: PEOPLE_CSV });
    await story.customer.put("phrase.asc", await encrypt({ message, passwords: "open sesame" }));
    const settings: FileSettings = {
      format: { case: "delimited", value: {} },
      encryption: { case: "pgp" as const, value: { credentialId: credential?.id ?? "" } },
    };
    const workflow = await story.run(await story.courier({ feedId, key: "phrase.asc", settings }));
    expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 3n } });
  });
});

test("dialects: tabs, no header, a backslash before quotes, NULL for nothing", async () => {
  const feedId = await story.feed("crm", "dialect", {
    fields: [
      { incomingName: "column_1", name: "id", type: INTEGER, require: true },
      { incomingName: "column_2", name: "name", type: STRING },
    ],
    primaryKey: ["id"],
  });
  await story.customer.put("dialect.tsv", "1\t'it\\'s'\r\n2\tNULL\r\n");
  const dialect = { delimiter: "\t", quote: "'", escape: "\\", headerRows: 0, nullText: "NULL" };
  const settings: FileSettings = { format: { case: "delimited" as const, value: dialect } };
  await story.run(await story.courier({ feedId, key: "dialect.tsv", settings }));
  expect(await story.rows("SELECT id, name FROM crm.dialect ORDER BY id")).toEqual([
    { id: 1, name: "it's" },
    { id: 2, name: null },
  ]);
});

describe("Parquet", () => {
  const ORDERS: FeedSpec = {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "at", type: { type: { case: "datetime", value: {} } } },
      { incomingName: "ratio", type: { type: { case: "float", value: {} } } },
      { incomingName: "word", type: STRING },
    ],
    primaryKey: ["id"],
  };
  const QUERY = `SELECT number AS id, toDateTime64(1700000000 + number, 3, 'UTC') AS at,
    number / 7 AS ratio, toString(number % 10) AS word FROM numbers(50000)`;
  const digest = async (from: string): Promise<unknown> =>
    await story.rows(
      `SELECT count() AS n, sum(cityHash64(toString(id), toUnixTimestamp64Milli(assumeNotNull(at)),
         assumeNotNull(ratio), assumeNotNull(word))) AS h FROM ${from}`,
    );
  const parquet = async (): Promise<Uint8Array> => {
    const query = `${QUERY} FORMAT Parquet SETTINGS output_format_parquet_row_group_size = 8000`;
    const { stream } = await story.clickhouse.exec({ query });
    return Buffer.concat(await Array.fromAsync(stream));
  };

  test("a plain file travels row group by row group, undecoded", async () => {
    const feedId = await story.feed("lake", "orders", ORDERS);
    await story.customer.put("orders.parquet", await parquet());
    const workflow = await story.run(
      await story.courier({ feedId, key: "orders.parquet", settings: PARQUET }),
    );
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    const load = workflow.tasks.find(({ kind }) => kind === Task_Kind.LOAD_OBJECT);
    expect(load?.route).toContain("row groups");
    expect(await digest("lake.orders")).toEqual(await digest(`(${QUERY})`));
  });

  test("a file under gzip that nobody spoke of is found by its bytes", async () => {
    const feedId = await story.feed("lake", "found", ORDERS);
    await story.customer.put("orders.bin", gzipSync(await parquet()));
    const workflow = await story.run(
      await story.courier({ feedId, key: "orders.bin", settings: PARQUET }),
    );
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    expect(await digest("lake.found")).toEqual(await digest(`(${QUERY})`));
  });

  test("a file under OpenPGP is put on disk, and taken from there", async () => {
    const { publicKey, privateKey } = await generateKey({ userIDs: [{ name: "Lake" }] });
    const { credential } = await story.credentials.createCredential({
      credential: {
        name: "Lake PGP",
        kind: { case: "pgp", value: { privateKeyBlock: privateKey } },
      },
    });
    const feedId = await story.feed("lake", "sealed", ORDERS);
    await story.customer.put("orders.pgp", await encryptedTo(publicKey, await parquet()));
    const settings: FileSettings = {
      format: { case: "parquet", value: {} },
      encryption: { case: "pgp", value: { credentialId: credential?.id ?? "" } },
    };
    const workflow = await story.run(await story.courier({ feedId, key: "orders.pgp", settings }));
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    expect(await digest("lake.sealed")).toEqual(await digest(`(${QUERY})`));
  });

  test("the parts of a warehouse's export are one load, and the next export is another (SC-5)", async () => {
    const feedId = await story.feed("lake", "exported", ORDERS);
    const part = async (where: string): Promise<Uint8Array> => {
      const query = `SELECT * FROM (${QUERY}) WHERE ${where} FORMAT Parquet`;
      const { stream } = await story.clickhouse.exec({ query });
      return Buffer.concat(await Array.fromAsync(stream));
    };
    const put = async (day: string, name: string, where: string): Promise<unknown> =>
      await story.customer.put(`export/${day}.parquet/${name}.snappy.parquet`, await part(where));
    await put("2026-11-19", "part-00000", "id < 20000");
    await put("2026-11-19", "part-00001", "id >= 20000 AND id < 40000");
    await put("2026-11-20", "part-00000", "id >= 40000");

    const pattern = "'export/'yyyy-MM-dd'.parquet/part-*.parquet'";
    const courierId = await story.courier({ feedId, pattern, settings: PARQUET });
    const first = await story.run(courierId, "2026-11-19");
    expect(first).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 40_000n } });
    expect(await digest("lake.exported")).toEqual(await digest(`(${QUERY} LIMIT 40000)`));
    const second = await story.run(courierId, "2026-11-20");
    expect(second).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 10_000n } });
    expect(await digest("lake.exported")).toEqual(await digest(`(${QUERY})`));
  });

  test("a folder as Spark writes it is its parts: its marks are passed over, and told", async () => {
    const feedId = await story.feed("lake", "spark", ORDERS);
    const file = await parquet();
    const folder = `spark/${DAY}.parquet`;
    await story.customer.put(`${folder}/part-00000-x.snappy.parquet`, file);
    await story.customer.put(`${folder}/.part-00000-x.snappy.parquet.crc`, "crc");
    await story.customer.put(`${folder}/_SUCCESS`, "");
    await story.customer.put(`${folder}/_committed_123`, '{"added":[]}');
    await story.customer.put(`${folder}/_started_123`, "");
    const pattern = "'spark/'yyyy-MM-dd'.parquet/'";
    const courierId = await story.courier({ feedId, pattern, settings: PARQUET });

    const { patterns } = await story.couriers.backtestPattern({
      subject: { case: "courierId", value: courierId },
      period: { startDate: DAY, endDate: "2026-11-21" },
    });
    expect(patterns).toMatchObject([{ days: [{ keys: 1n }], passedOverKeys: 4n, nearMisses: [] }]);
    const { plan } = await story.couriers.planRun({
      id: courierId,
      scope: { case: "date", value: DAY },
    });
    const told = expect.stringMatching(/^4 objects in the folder .*_SUCCESS/);
    expect(plan).toMatchObject({ days: [{ matched: 1n }], failures: [], warnings: [told] });

    const workflow = await story.run(courierId);
    expect(workflow.failure).toBeUndefined();
    expect(workflow.tasks.flatMap(({ warnings }) => warnings)).toContainEqual(told);
    expect(await digest("lake.spark")).toEqual(await digest(`(${QUERY})`));
  });

  test("a file under gzip is put on disk first", async () => {
    const feedId = await story.feed("lake", "wrapped", ORDERS);
    await story.customer.put("orders.parquet.gz", gzipSync(await parquet()));
    const settings: FileSettings = { ...PARQUET, compression: Compression.GZIP };
    const workflow = await story.run(
      await story.courier({ feedId, key: "orders.parquet.gz", settings }),
    );
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    expect(await digest("lake.wrapped")).toEqual(await digest(`(${QUERY})`));
  });
});

test("one courier loads every file that a pattern finds, over several days (SC-4, CO-9)", async () => {
  const feedId = await story.feed("crm", "days", PEOPLE);
  for (const day of ["2026-11-18", "2026-11-19"]) {
    for (const part of [1, 2]) {
      const id = Number(day.slice(-2)) * 10 + part;
      await story.customer.put(`days/${day}/part-${part}.csv`, `id,name\n${id},${day}\n`);
    }
  }
  const courierId = await story.courier({ feedId, pattern: "'days/'yyyy-MM-dd'/part-*.csv'" });
  const { workflowId } = await story.couriers.runCourier({
    id: courierId,
    scope: { case: "period", value: { startDate: "2026-11-18", endDate: "2026-11-20" } },
  });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  expect(await story.rows("SELECT id FROM crm.days ORDER BY id")).toEqual(
    [181, 182, 191, 192].map((id) => ({ id })),
  );
});

test("a courier's prefix stands before keys and patterns as it is, quotes and stars included", async () => {
  const feedId = await story.feed("crm", "prefixed", PEOPLE);
  const prefix = "it's * ours/";
  await story.customer.put(`${prefix}${DAY}/part-1.csv`, "id,name\n1,One\n");
  await story.customer.put(`${prefix}always.csv`, "id,name\n2,Two\n");
  await story.customer.put(`it's not ours/${DAY}/part-1.csv`, "id,name\n3,Three\n");
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: "Prefixed",
      credentialId: story.credentialId,
      prefix,
      files: [
        {
          tag: "daily",
          selection: { case: "pattern", value: "yyyy-MM-dd'/part-*.csv'" },
          settings: CSV,
        },
        { tag: "quoted", selection: { case: "pattern", value: "'always'*'.csv'" }, settings: CSV },
      ],
      loads: ["daily", "quoted"].map((fileTag) => ({
        feed: { case: "feedId" as const, value: feedId },
        fileTag,
        operation: LoadOperation.LOAD,
      })),
    },
  });
  expect((await story.run(courier?.id ?? "")).state).toBe(Workflow_State.SUCCEEDED);
  expect(await story.rows("SELECT id FROM crm.prefixed ORDER BY id")).toEqual([
    { id: 1 },
    { id: 2 },
  ]);
});

test("rows that cannot be typed are kept aside with their place, and the others load", async () => {
  const feedId = await story.feed("crm", "rejected", { ...PEOPLE, errorThresholdPercent: 50 });
  const lines = ["id,name,since", "1,One,2024-01-01", "x,Two,2024-01-01", "3,Three,31.12.2024"];
  await story.customer.put("rejected.csv", `${lines.join("\n")}\n4,Four\n5,Five,2024-01-01\n`);
  const workflow = await story.run(await story.courier({ feedId, key: "rejected.csv" }));
  expect(workflow).toMatchObject({
    state: Workflow_State.FAILED,
    failure: { code: "threshold_exceeded" },
  });
  await story.feeds.updateFeed({
    feed: { id: feedId, spec: create(FeedSpecSchema, { ...PEOPLE, errorThresholdPercent: 60 }) },
    updateMask: { paths: ["spec"] },
  });
  await story.feeds.activateFeed({ id: feedId });
  const again = await story.run(await story.courier({ feedId, key: "rejected.csv" }));
  expect(again).toMatchObject({
    state: Workflow_State.SUCCEEDED,
    totals: { rows: 5n, rejectedRows: 3n },
  });
  const { rejects } = await story.tables.listRejects({ feedId, workflowId: again.id });
  expect(
    rejects.map(({ row, byteOffset, stage, code, field }) => ({
      row,
      byteOffset,
      stage,
      code,
      field,
    })),
  ).toEqual([
    { row: 2n, byteOffset: 31n, stage: "cast", code: "bad_value", field: "id" },
    { row: 3n, byteOffset: 48n, stage: "cast", code: "bad_value", field: "since" },
    { row: 4n, byteOffset: 67n, stage: "parse", code: "malformed", field: "" },
  ]);
  expect(await story.rows("SELECT id FROM crm.rejected ORDER BY id")).toEqual([
    { id: 1 },
    { id: 5 },
  ]);
});

test("an object that two file specifications find is loaded by both, and stands there once", async () => {
  const feedId = await story.feed("crm", "twice", PEOPLE);
  await story.customer.put("twice.csv", PEOPLE_CSV);
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: "Found twice",
      credentialId: story.credentialId,
      files: ["one", "two"].map((tag) => ({
        tag,
        selection: { case: "key", value: "twice.csv" },
        settings: CSV,
      })),
      loads: ["one", "two"].map((fileTag) => ({
        feed: { case: "feedId" as const, value: feedId },
        fileTag,
        operation: LoadOperation.LOAD,
      })),
    },
  });
  expect(await story.run(courier?.id ?? "")).toMatchObject({
    state: Workflow_State.SUCCEEDED,
    totals: { rows: 6n },
  });
  expect(await story.rows("SELECT count() AS n, uniqExact(id) AS ids FROM crm.twice")).toEqual([
    { n: 3, ids: 3 },
  ]);
});

test("running with the same request id gives the same workflow", async () => {
  const feedId = await story.feed("crm", "once", PEOPLE);
  await story.customer.put("once.csv", PEOPLE_CSV);
  const id = await story.courier({ feedId, key: "once.csv" });
  const request = { id, scope: { case: "date", value: DAY }, requestId: "one click" } as const;
  const [first, second] = [
    await story.couriers.runCourier(request),
    await story.couriers.runCourier(request),
  ];
  expect(second.workflowId).toBe(first.workflowId);
  for await (const _ of story.workflows.watchWorkflow({ id: first.workflowId }));
});

test("no workflow leaves a staging table behind, a failed one not once it is given up", async () => {
  const { workflows } = await story.workflows.listWorkflows({ pageSize: 1000 });
  for (const { id, resumableUntil } of workflows) {
    if (resumableUntil !== undefined) await story.workflows.cancelWorkflow({ id });
  }
  await expect
    .poll(
      async () =>
        await story.rows(
          "SELECT name FROM system.tables WHERE name LIKE '%\\_\\_stg\\_%' OR name LIKE '%\\_\\_pub\\_%'",
        ),
    )
    .toEqual([]);
});
