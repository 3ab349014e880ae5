import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { NearMiss_Edit } from "@sluice/api/control/v1/backtest_pb";
import type { FileSpecSchema } from "@sluice/api/control/v1/courier_pb";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import type { RunCourierRequestSchema } from "@sluice/api/control/v1/courier_service_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CSV,
  DAY,
  type FeedSpec,
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

const NAMES: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};

type RunRequest = Omit<MessageInitShape<typeof RunCourierRequestSchema>, "$typeName" | "id">;

/** Runs a courier and waits for its end. */
async function run(id: string, request: RunRequest): Promise<Workflow> {
  const { workflowId } = await story.couriers.runCourier({ id, ...request });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  if (workflow === undefined) throw new Error("the workflow is gone");
  return workflow;
}

const on = (value: string): RunRequest => ({ scope: { case: "date", value } });

async function ids(table: string): Promise<number[]> {
  const rows = await story.rows<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`);
  return rows.map(({ id }) => id);
}

function keysOf(workflow: Workflow): string[] {
  return workflow.tasks.map(({ key }) => key).filter((key) => key !== "");
}

type FileSpec = MessageInitShape<typeof FileSpecSchema>;

async function courierOf(
  name: string,
  files: readonly FileSpec[],
  loads: readonly { feedId: string; fileTag: string }[],
): Promise<string> {
  const { courier } = await story.couriers.createCourier({
    courier: {
      name,
      credentialId: story.credentialId,
      files: [...files],
      loads: loads.map(({ feedId, fileTag }) => ({
        feed: { case: "feedId" as const, value: feedId },
        fileTag,
        operation: LoadOperation.LOAD,
      })),
    },
  });
  return courier?.id ?? "";
}

describe("couriers as resources", () => {
  test("are listed, found by their feed, copied, edited and removed, and their feeds stay (CO-1, RU-1, b1)", async () => {
    const feedId = await story.feed("res", "kept", NAMES);
    await story.customer.put(`res/${DAY}.csv`, "id,name\n1,One\n");
    const id = await story.courier({ feedId, pattern: "'res/'yyyy-MM-dd'.csv'" });
    const found = await story.couriers.listCouriers({ feedId });
    expect(found.couriers.map((courier) => courier.id)).toEqual([id]);

    const { courier: copy } = await story.couriers.copyCourier({ id, requestId: "copy" });
    const { courier: same } = await story.couriers.copyCourier({ id, requestId: "copy" });
    const original = found.couriers[0];
    expect(same?.id).toBe(copy?.id);
    expect(copy).toMatchObject({
      name: `Copy of ${original?.name}`,
      files: original?.files,
      loads: original?.loads,
    });
    const { courier: second } = await story.couriers.copyCourier({ id });
    expect(second?.name).toBe(`Copy of ${original?.name} (2)`);

    await story.couriers.updateCourier({
      courier: { id: copy?.id ?? "", name: "Edited" },
      updateMask: { paths: ["name"] },
    });
    for (const each of [id, copy?.id ?? "", second?.id ?? ""]) {
      await story.couriers.deleteCourier({ id: each });
    }
    expect((await story.couriers.listCouriers({ feedId })).couriers).toEqual([]);
    expect((await story.feeds.getFeed({ id: feedId })).feed?.name).toBe("kept");
  });

  test("the guided way: browse, accept a key, one file and one feed, run, look at the table (CO-4, CO-5, CO-6, CO-7, CO-8, SC-3)", async () => {
    await story.customer.put("guided/people.csv", "id,name\n1,One\n2,Two\n");
    const { credentialId, sources } = story;
    const page = await sources.browseObjects({ credentialId, prefix: "guided/", delimiter: "/" });
    const key = page.objects[0]?.key ?? "";
    const feedId = await story.feed("guided", "people", NAMES);
    const id = await story.courier({ feedId, key });
    const { courier } = await story.couriers.getCourier({ id });
    expect(courier?.files[0]?.selection).toEqual({ case: "key", value: "guided/people.csv" });
    expect((await story.run(id)).state).toBe(Workflow_State.SUCCEEDED);
    const { domainTable } = await story.tables.getDomainTable({ feedId });
    expect(domainTable).toMatchObject({ database: "guided", table: "people", rows: 2n });
    const { rows } = await story.tables.sampleRows({ feedId });
    expect(rows.map(({ values }) => values?.name).toSorted()).toEqual(["One", "Two"]);
  });

  test("the advanced way in the same message: many files and feeds, XML and nested JSON beside CSV (SC-6, SC-7, SC-2)", async () => {
    const [people, orders] = [
      await story.feed("adv", "people", NAMES),
      await story.feed("adv", "orders", {
        fields: [
          { incomingName: "id", type: INTEGER, require: true },
          { incomingName: "sku", path: "item.sku", type: STRING },
        ],
        primaryKey: ["id"],
      }),
    ];
    await story.customer.put(`adv/${DAY}.csv`, "id,name\n1,One\n");
    await story.customer.put(`adv/${DAY}.xml`, "<all><row><id>2</id><name>Two</name></row></all>");
    await story.customer.put(`adv/${DAY}.json`, '[{"id":7,"item":{"sku":"s"}}]');
    const file = (tag: string, settings: FileSpec["settings"]): FileSpec => ({
      tag,
      selection: { case: "pattern", value: `'adv/'yyyy-MM-dd'.${tag}'` },
      ...(settings === undefined ? {} : { settings }),
    });
    const id = await courierOf(
      "Advanced",
      [
        file("csv", CSV),
        file("xml", { format: { case: "xml", value: {} } }),
        file("json", { format: { case: "json", value: {} } }),
      ],
      [
        { feedId: people, fileTag: "csv" },
        { feedId: people, fileTag: "xml" },
        { feedId: orders, fileTag: "json" },
      ],
    );
    expect((await story.run(id)).state).toBe(Workflow_State.SUCCEEDED);
    expect(await ids("adv.people")).toEqual([1, 2]);
    expect(await story.rows("SELECT id, sku FROM adv.orders")).toEqual([{ id: 7, sku: "s" }]);
  });
});

describe("the scope of a run", () => {
  test("a period takes its first day and not its last (RU-1, b11)", async () => {
    const feedId = await story.feed("scope", "period", NAMES);
    for (const day of [16, 17, 18]) {
      await story.customer.put(`period/2026-11-${day}.csv`, `id,name\n${day},x\n`);
    }
    const id = await story.courier({ feedId, pattern: "'period/'yyyy-MM-dd'.csv'" });
    const period = { startDate: "2026-11-16", endDate: "2026-11-18" };
    const workflow = await run(id, { scope: { case: "period", value: period } });
    expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, ...period });
    expect(await ids("scope.period")).toEqual([16, 17]);
  });

  test("everything takes every object that the patterns can match, each for its own day (CO-9, SC-4, SC-5, b11)", async () => {
    const feedId = await story.feed("scope", "everything", NAMES);
    await story.customer.put("every/2019/02/28/part-1.csv", "id,name\n1,old\n");
    await story.customer.put("every/2026/11/20/part-1.csv", "id,name\n1,new\n2,new\n");
    await story.customer.put("every/2026/11/20/part-2.csv", "id,name\n3,new\n");
    await story.customer.put("every/2026/11/31/part-1.csv", "id,name\n4,no such day\n");
    await story.customer.put("every/2026/11/20/deep/part-1.csv", "id,name\n5,too deep\n");
    const query =
      "SELECT number + 10 AS id, toString(number) AS name FROM numbers(2) FORMAT Parquet";
    const { stream } = await story.clickhouse.exec({ query });
    const parquet = Buffer.concat(await Array.fromAsync(stream));
    await story.customer.put("every/export-202611.parquet/0000_part_00", parquet);
    const id = await courierOf(
      "Everything",
      [
        {
          tag: "parts",
          selection: { case: "pattern", value: "'every/'yyyy'/'MM'/'dd'/part-*.csv'" },
          settings: CSV,
        },
        {
          tag: "export",
          selection: { case: "pattern", value: "'every/export-'yyyyMM'.parquet/'" },
          settings: PARQUET,
        },
      ],
      [
        { feedId, fileTag: "parts" },
        { feedId, fileTag: "export" },
      ],
    );
    const workflow = await run(id, { scope: { case: "everything", value: {} } });
    expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, everything: true });
    expect(workflow.startDate).toBe("2019-02-28");
    expect(
      workflow.tasks.filter(({ key }) => key.startsWith("every/2")).map(({ date }) => date),
    ).toEqual(["2019-02-28", "2026-11-20", "2026-11-20"]);
    expect(await story.rows("SELECT id, name FROM scope.everything ORDER BY id")).toEqual([
      { id: 1, name: "new" },
      { id: 2, name: "new" },
      { id: 3, name: "new" },
      { id: 10, name: "0" },
      { id: 11, name: "1" },
    ]);
  });

  test("a date for which nothing can match is explained: in the future, too early, or between (RU-2)", async () => {
    const feedId = await story.feed("scope", "dates", NAMES);
    for (const day of ["2026-11-10", "2026-11-14"]) {
      await story.customer.put(`dates/${day}/people.csv`, "id,name\n1,One\n");
    }
    const id = await story.courier({ feedId, pattern: "'dates/'yyyy-MM-dd'/people.csv'" });
    const future = await run(id, on("2126-01-01")).catch((error: unknown) => error);
    expect(ConnectError.from(future).message).toContain("no file can match it yet");
    const early = await run(id, on("2026-01-01"));
    expect(early).toMatchObject({
      state: Workflow_State.FAILED,
      failure: { code: "file_not_found" },
    });
    expect(early.failure?.message).toContain(
      "2026-01-01 is before the oldest file that the pattern finds, of 2026-11-10",
    );
    const between = await run(id, on("2026-11-12"));
    expect(between.failure?.message).toContain(
      "the pattern finds files from 2026-11-10 to 2026-11-14, but none for 2026-11-12; the nearest days with files are 2026-11-10, 2026-11-14",
    );
    expect((await run(id, on("2026-11-14"))).state).toBe(Workflow_State.SUCCEEDED);
  });

  test("the options are off by default and shown with the workflow (RU-3, b11)", async () => {
    const feedId = await story.feed("scope", "options", NAMES);
    await story.customer.put("options.csv", "id,name\n1,One\n");
    const id = await story.courier({ feedId, key: "options.csv" });
    expect(await story.run(id)).toMatchObject({
      ingestOnly: false,
      skipMissingFiles: false,
      reloadUnchanged: false,
    });
    const options = { ingestOnly: true, skipMissingFiles: true, reloadUnchanged: true };
    expect(await run(id, { ...on(DAY), ...options })).toMatchObject({
      state: Workflow_State.SUCCEEDED,
      ...options,
    });
  });
});

describe("files that are missing", () => {
  test("a required one stops the run, and the listing that was seen is there to read (CR-13)", async () => {
    const feedId = await story.feed("missing", "required", NAMES);
    await story.customer.put(`missing/${DAY}/people.csv`, "id,name\n1,One\n");
    await story.customer.put(`missing/${DAY}/Orders.csv`, "id,name\n2,Two\n");
    const pattern = (name: string): NonNullable<FileSpec["selection"]> => ({
      case: "pattern",
      value: `'missing/'yyyy-MM-dd'/${name}*.csv'`,
    });
    const id = await courierOf(
      "Missing",
      [
        { tag: "people", selection: pattern("people"), settings: CSV },
        { tag: "orders", selection: pattern("orders"), settings: CSV },
      ],
      [
        { feedId, fileTag: "people" },
        { feedId, fileTag: "orders" },
      ],
    );
    const failed = await story.run(id);
    expect(failed).toMatchObject({
      state: Workflow_State.FAILED,
      failure: { code: "file_not_found" },
    });
    const { files, missing } = await story.workflows.listWorkflowFiles({ id: failed.id });
    expect(files).toMatchObject([
      {
        object: {
          key: `missing/${DAY}/people.csv`,
          size: 14n,
          etag: expect.stringMatching(/^".+"$/),
        },
        date: DAY,
        fileTag: "people",
      },
    ]);
    expect(Number(files[0]?.object?.modifyTime?.seconds)).toBeGreaterThan(1_700_000_000);
    expect(missing).toMatchObject([
      {
        fileTag: "orders",
        date: DAY,
        lookedFor: `missing/${DAY}/orders*.csv`,
        optional: false,
        nearestKeys: [`missing/${DAY}/Orders.csv`, `missing/${DAY}/people.csv`],
      },
    ]);
    const skipped = await run(id, { ...on(DAY), skipMissingFiles: true });
    expect(skipped.state).toBe(Workflow_State.SUCCEEDED);
    expect(await ids("missing.required")).toEqual([1]);
  });

  test("of optional files one has to be there, unless missing files are skipped (b1, RU-3)", async () => {
    const feedId = await story.feed("missing", "optional", NAMES);
    const id = await story.courier({ feedId, key: "never.csv", optional: true });
    const failed = await story.run(id);
    expect(failed).toMatchObject({
      state: Workflow_State.FAILED,
      failure: { code: "file_not_found" },
    });
    expect(failed.failure?.message).toContain("every file is optional, but one has to be there");
    const skipped = await run(id, { ...on(DAY), skipMissingFiles: true });
    expect(skipped.state).toBe(Workflow_State.SKIPPED);
  });

  test("a courier without loads lists its files and loads nothing (b3)", async () => {
    await story.customer.put("samples/one.csv", "id,name\n1,One\n");
    const selection = { case: "key", value: "samples/one.csv" } as const;
    const id = await courierOf("Samples", [{ tag: "one", selection, settings: CSV }], []);
    const workflow = await story.run(id);
    expect(workflow.state).toBe(Workflow_State.SKIPPED);
    const { files } = await story.workflows.listWorkflowFiles({ id: workflow.id });
    expect(files.map(({ object }) => object?.key)).toEqual(["samples/one.csv"]);
  });
});

describe("files that were loaded before", () => {
  test("are passed over while they are unchanged, and said so; the others load (SC-4)", async () => {
    const feedId = await story.feed("again", "loads", NAMES);
    await story.customer.put(`again/${DAY}/1.csv`, "id,name\n1,One\n");
    await story.customer.put(`again/${DAY}/2.csv`, "id,name\n2,Two\n");
    const id = await story.courier({ feedId, pattern: "'again/'yyyy-MM-dd'/*.csv'" });
    expect(keysOf(await story.run(id))).toHaveLength(2);

    const unchanged = await story.run(id);
    expect(unchanged).toMatchObject({
      state: Workflow_State.SKIPPED,
      warnings: [
        "2 files are unchanged since loaded into again.loads, skipped: its domain table stays as it is.",
      ],
    });
    expect(keysOf(unchanged)).toEqual([]);
    const { files } = await story.workflows.listWorkflowFiles({ id: unchanged.id });
    expect(files.map(({ unchangedFeedIds }) => unchangedFeedIds)).toEqual([[feedId], [feedId]]);

    await story.customer.put(`again/${DAY}/2.csv`, "id,name\n2,Two again\n");
    await story.customer.put(`again/${DAY}/3.csv`, "id,name\n3,Three\n");
    const second = await story.run(id);
    expect(keysOf(second)).toEqual([`again/${DAY}/2.csv`, `again/${DAY}/3.csv`]);
    expect(second.warnings).toEqual([
      "1 file is unchanged since loaded into again.loads, skipped.",
    ]);
    expect(await story.rows("SELECT id, name FROM again.loads ORDER BY id")).toEqual([
      { id: 1, name: "One" },
      { id: 2, name: "Two again" },
      { id: 3, name: "Three" },
    ]);
    const all = await run(id, { ...on(DAY), reloadUnchanged: true });
    expect(keysOf(all)).toHaveLength(3);
    expect(all.totals?.rows).toBe(3n);
  });

  test("are loaded again when the feed has a new version (FE-9)", async () => {
    const feedId = await story.feed("again", "versions", NAMES);
    await story.customer.put("versions.csv", "id,name\n1,One\n");
    const id = await story.courier({ feedId, key: "versions.csv" });
    await story.run(id);
    const fields = [
      { incomingName: "id", type: INTEGER },
      { incomingName: "name", type: STRING, trim: true },
    ];
    await story.feeds.updateFeed({
      feed: { id: feedId, spec: { ...NAMES, fields } },
      updateMask: { paths: ["spec"] },
    });
    await story.feeds.activateFeed({ id: feedId });
    expect(keysOf(await story.run(id))).toEqual(["versions.csv"]);
  });

  test("under another name are flagged, and loaded", async () => {
    const feedId = await story.feed("again", "renamed", NAMES);
    await story.customer.put("renamed/a.csv", "id,name\n1,One\n");
    const id = await story.courier({ feedId, pattern: "'renamed/*.csv'" });
    await story.run(id);
    await story.customer.put("renamed/b.csv", "id,name\n1,One\n");
    const workflow = await story.run(id);
    expect(keysOf(workflow)).toEqual(["renamed/b.csv"]);
    expect(workflow.warnings).toContainEqual(
      expect.stringMatching(/^renamed\/b\.csv has the same content .* as renamed\/a\.csv/),
    );
  });

  test("replace the table as a whole by truncate and load, or not at all (FE-7)", async () => {
    const feedId = await story.feed("again", "replaced", NAMES);
    await story.customer.put("replaced/a.csv", "id,name\n1,One\n");
    await story.customer.put("replaced/b.csv", "id,name\n2,Two\n");
    const operation = LoadOperation.TRUNCATE_AND_LOAD;
    const id = await story.courier({ feedId, pattern: "'replaced/*.csv'", operation });
    await story.run(id);
    expect(keysOf(await story.run(id))).toEqual([]);
    await story.customer.put("replaced/b.csv", "id,name\n3,Three\n");
    expect(keysOf(await story.run(id))).toEqual(["replaced/a.csv", "replaced/b.csv"]);
    expect(await ids("again.replaced")).toEqual([1, 3]);
  });

  test("replace the table by nothing, and say so, where a file has a header and no rows", async () => {
    const feedId = await story.feed("again", "emptied", NAMES);
    await story.customer.put("emptied.csv", "id,name\n1,One\n");
    const operation = LoadOperation.TRUNCATE_AND_LOAD;
    const id = await story.courier({ feedId, key: "emptied.csv", operation });
    expect((await story.run(id)).tasks.flatMap(({ warnings }) => warnings)).toEqual([]);
    await story.customer.put("emptied.csv", "id,name\n");
    const { failure, tasks } = await story.run(id);
    expect(failure).toBeUndefined();
    expect(tasks.flatMap(({ warnings }) => warnings)).toEqual([
      expect.stringMatching(/^the file has no rows/),
    ]);
    expect(await ids("again.emptied")).toEqual([]);
  });
});

describe("trying a pattern on a real listing", () => {
  const period = { startDate: "2026-11-16", endDate: "2026-11-20" };

  test("tells the files of each day, the days without, and the changes that would find more (CO-9, b5)", async () => {
    for (const key of ["16.csv", "17.CSV", "18.csv.gz", "deeper/19.csv", "19/unrelated.txt"]) {
      await story.customer.put(`backtest/2026-11-${key}`, `id,name\n1,${key}\n`);
    }
    await story.customer.put("backtest/2026-11-17/2026-11-18.csv", "id,name\n1,x\n");
    const { patterns } = await story.couriers.backtestPattern({
      subject: {
        case: "trial",
        value: {
          credentialId: story.credentialId,
          prefix: "backtest/",
          pattern: "yyyy-MM-dd'.csv'",
        },
      },
      period,
    });
    const [backtest] = patterns;
    expect(backtest).toMatchObject({
      days: [
        {
          date: "2026-11-16",
          keys: 1n,
          bytes: 17n,
          objects: [{ key: "backtest/2026-11-16.csv", size: 17n }],
        },
      ],
      emptyDates: ["2026-11-17", "2026-11-18", "2026-11-19"],
      overlaps: [],
      listedKeys: 6n,
      complete: true,
    });
    const misses = backtest?.nearMisses.map(({ edit, pattern, exampleKeys, dates }) => [
      edit,
      pattern,
      exampleKeys.join(" "),
      dates.join(" "),
    ]);
    expect(misses).toContainEqual([
      NearMiss_Edit.OTHER_CASE,
      "yyyy-MM-dd'.CSV'",
      "backtest/2026-11-17.CSV",
      "2026-11-17",
    ]);
    expect(misses).toContainEqual([
      NearMiss_Edit.OTHER_EXTENSION,
      "yyyy-MM-dd'.csv.gz'",
      "backtest/2026-11-18.csv.gz",
      "2026-11-18",
    ]);
    expect(misses).toContainEqual([
      NearMiss_Edit.MORE_FOLDER,
      "*/yyyy-MM-dd'.csv'",
      "backtest/2026-11-17/2026-11-18.csv",
      "2026-11-18",
    ]);
  });

  test("tells which other couriers find the same keys, and takes a courier's own patterns (CO-9, CO-7)", async () => {
    const feedId = await story.feed("backtest", "overlap", NAMES);
    for (const name of ["a", "b"]) {
      await story.customer.put(`overlap/2026-11-16/${name}.csv`, "id,name\n1,One\n");
    }
    const wide = await story.courier({ feedId, pattern: "'overlap/'yyyy-MM-dd'/*.csv'" });
    const narrow = await story.courier({ feedId, pattern: "'overlap/'yyyy-MM-dd'/a.csv'" });
    const { courier } = await story.couriers.getCourier({ id: narrow });
    const { patterns } = await story.couriers.backtestPattern({
      subject: { case: "courierId", value: wide },
      period,
    });
    expect(patterns).toMatchObject([
      {
        fileTag: "file",
        days: [{ date: "2026-11-16", keys: 2n }],
        overlaps: [
          {
            courierId: narrow,
            courierName: courier?.name,
            fileTag: "file",
            keys: 1n,
            exampleKeys: ["overlap/2026-11-16/a.csv"],
          },
        ],
      },
    ]);
    const broken = await story.couriers
      .backtestPattern({
        subject: {
          case: "trial",
          value: { credentialId: story.credentialId, pattern: "orders-yyyy" },
        },
      })
      .catch((error: unknown) => error);
    expect(ConnectError.from(broken).message).toContain("trial.pattern");
  });
});
