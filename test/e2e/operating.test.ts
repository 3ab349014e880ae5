import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CSV, type FeedSpec, INTEGER, PARQUET, STRING, type Story, startStory } from "./story.ts";
import { createTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** Both services as they are shipped, bundled, and what whoever operates them sees. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};

let bundles: string;
let proxy: TcpProxy;
let story: Story;
// biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON, as a stranger reads it
const posts: any[] = [];
const collector = createServer(async (request, response) => {
  posts.push(await json(request));
  response.setHeader("content-type", "application/json");
  response.end("{}");
});

beforeAll(async () => {
  bundles = mkdtempSync(join(tmpdir(), "sluice-bundles-"));
  const script = fileURLToPath(new URL("../../deploy/bundle.mjs", import.meta.url));
  execFileSync(process.execPath, [script, bundles]);
  proxy = await createTcpProxy();
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const { port } = collector.address() as AddressInfo;
  const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  story = await startStory({
    bundles,
    controlEnvironment: traced,
    ingestEnvironment: {
      ...traced,
      CLICKHOUSE_URL: proxy.url,
      SLUICE_CLICKHOUSE_RETRY_MS: "500",
    },
  });
  proxy.target = story.local.clickhouse?.httpPort ?? 0;
});
afterAll(async () => {
  await story?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  collector.closeAllConnections();
  collector.close();
  rmSync(bundles, { recursive: true, force: true });
});

const metricsOf = async (service: "control" | "ingest"): Promise<string> =>
  await (await fetch(`${story.local[service].probes}/metrics`)).text();
const seriesOf = (text: string, series: string): number | undefined => {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};
const ready = async (service: "control" | "ingest"): Promise<string> =>
  (await (await fetch(`${story.local[service].probes}/readyz`)).text()).trim();

test("bundled services load a CSV.gz, a snappy file of Parquet and rejects, and tell of it", async () => {
  const lines = Array.from({ length: 1_000 }, (_, at) => `${at},n${at}`);
  await story.customer.put("a.csv.gz", gzipSync(`id,name\n${lines.join("\n")}\nx,wrong\n`));
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: "id", data: Array.from({ length: 500 }, (_, at) => at), type: "INT32" },
      { name: "name", data: Array.from({ length: 500 }, (_, at) => `p${at}`), type: "STRING" },
    ],
  });
  await story.customer.put("b.parquet", new Uint8Array(parquet));
  const csvFeed = await story.feed("shipped", "csv", SPEC);
  const parquetFeed = await story.feed("shipped", "parquet", SPEC);
  const one = await story.run(await story.courier({ feedId: csvFeed, key: "a.csv.gz" }));
  const two = await story.run(
    await story.courier({ feedId: parquetFeed, key: "b.parquet", settings: PARQUET }),
  );
  expect([one.state, two.state]).toEqual([Workflow_State.SUCCEEDED, Workflow_State.SUCCEEDED]);
  expect(await story.rows("SELECT count() AS n, sum(id) AS s FROM shipped.csv")).toEqual([
    { n: 1_000, s: 499_500 },
  ]);
  expect(await story.rows("SELECT count() AS n, sum(id) AS s FROM shipped.parquet")).toEqual([
    { n: 500, s: 124_750 },
  ]);

  const ingest = await metricsOf("ingest");
  expect(seriesOf(ingest, 'sluice_stage_rows_total{stage="load"}')).toBe(1_501);
  expect(seriesOf(ingest, 'sluice_stage_rows_total{stage="parse"}')).toBe(1_501);
  expect(seriesOf(ingest, 'sluice_rows_rejected_total{stage="load"}')).toBe(1);
  expect(seriesOf(ingest, 'sluice_stage_bytes_total{stage="fetch"}')).toBeGreaterThan(1_000);
  expect(seriesOf(ingest, 'sluice_stage_bytes_total{stage="load"}')).toBeGreaterThan(1_000);
  const seconds = 'sluice_stage_seconds_total{stage="decompress",kind="waiting_for_input"}';
  expect(seriesOf(ingest, seconds)).toBeGreaterThan(0);
  expect(seriesOf(ingest, 'sluice_insert_duration_seconds_count{outcome="ok"}')).toBeGreaterThan(1);
  const control = await metricsOf("control");
  expect(seriesOf(control, 'sluice_workflow_duration_seconds_count{state="succeeded"}')).toBe(2);
  expect(
    seriesOf(control, 'sluice_api_calls_total{method="TaskService/CompleteTask",code="ok"}'),
  ).toBeGreaterThan(3);
  for (const word of ["shipped", "acme", "a.csv", one.id, story.credentialId]) {
    expect(ingest + control).not.toContain(word);
  }
});

test("small objects that are loaded together are told as those loaded alone", async () => {
  const before = await metricsOf("ingest");
  for (let file = 0; file < 6; file++) {
    const bad = file === 2 ? "x,wrong\n" : "";
    await story.customer.put(`small/${file}.csv`, `id,name\n${file},a\n${10 + file},b\n${bad}`);
  }
  // It fails by itself, and leaves the others.
  await story.customer.put("small/6.csv", "other,columns\n1,2\n");
  const feedId = await story.feed("shipped", "small", SPEC);
  const courier = await story.courier({ feedId, pattern: "'small/'*'.csv'" });
  const workflow = await story.run(courier);
  expect(workflow).toMatchObject({
    state: Workflow_State.FAILED,
    totals: { rows: 13n, rejectedRows: 1n },
  });
  const grown = async (series: string): Promise<number> =>
    (seriesOf(await metricsOf("ingest"), series) ?? 0) - (seriesOf(before, series) ?? 0);
  const done = 'sluice_task_duration_seconds_count{work="loadUnit",outcome="done"}';
  await expect.poll(() => grown(done), { timeout: 20_000 }).toBe(1);
  expect(await grown('sluice_stage_rows_total{stage="load"}')).toBe(13);
  expect(await grown('sluice_rows_rejected_total{stage="load"}')).toBe(1);
  // Twice: without the one that failed they are read again.
  expect(await grown('sluice_stage_rows_total{stage="parse"}')).toBe(26);
  expect(await grown('sluice_stage_rows_total{stage="batch"}')).toBe(13);
  for (const stage of ["fetch", "decompress", "load"]) {
    expect(await grown(`sluice_stage_bytes_total{stage="${stage}"}`)).toBeGreaterThan(50);
  }
  expect(
    await grown('sluice_stage_seconds_total{stage="batch",kind="waiting_for_input"}'),
  ).toBeGreaterThan(0);
  expect(await grown('sluice_insert_duration_seconds_count{outcome="ok"}')).toBeGreaterThan(0);
  expect(await metricsOf("ingest")).toMatch(
    /\nsluice_errors_total\{stage="cast",code="schema_mismatch"\} 1\n/,
  );
  expect(await metricsOf("ingest")).toContain('sluice_tasks_running{work="loadUnit"} 0\n');
});

test("every metric that the runbook and its alerts name is there", async () => {
  const book = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
  const named = new Set(book.match(/\bsluice_[a-z_]+/g));
  expect(named.size).toBeGreaterThan(20);
  const told = (await metricsOf("ingest")) + (await metricsOf("control"));
  expect([...named].filter((name) => !told.includes(`# TYPE ${name} `))).toEqual([]);
});

test("a run is one trace, from the workflow to the inserts, over both services", async () => {
  const feedId = await story.feed("shipped", "traced", SPEC);
  await story.customer.put("traced.csv", "id,name\n1,canary\n");
  const { id } = await story.run(await story.courier({ feedId, key: "traced.csv" }));
  type Span = Readonly<Record<string, unknown>> & { readonly attributes: readonly Attribute[] };
  interface Attribute {
    readonly key: string;
    readonly value: Readonly<Record<string, unknown>>;
  }
  const spans = (): Span[] =>
    posts.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap((of: { scopeSpans: { spans: Span[] }[] }) =>
        of.scopeSpans.flatMap((scope) => scope.spans),
      ),
    );
  const ofWorkflow = () => {
    const root = spans().find(
      ({ name, attributes }) =>
        name === "workflow" && attributes.some(({ value }) => value.stringValue === id),
    );
    return spans().filter(({ traceId }) => traceId === root?.traceId);
  };
  await expect
    .poll(() => ofWorkflow().map(({ name }) => name), { timeout: 20_000 })
    .toEqual(
      expect.arrayContaining([
        "workflow",
        "task list",
        "task loadObject",
        "task publish",
        "insert",
      ]),
    );
  const found = ofWorkflow();
  const named = (name: string) => found.find((span) => span.name === name);
  expect(named("task loadObject")?.parentSpanId).toBe(named("workflow")?.spanId);
  expect(named("insert")?.parentSpanId).toBe(named("task loadObject")?.spanId);
  expect(spans().map(({ name }) => name)).toContain("CourierService/RunCourier");
  const told = JSON.stringify(posts);
  const secrets = [story.local.adminKey, "canary", "traced.csv", "acme-exports", "authorization"];
  for (const secret of secrets) expect(told).not.toContain(secret);
});

test("a key with line breaks and sequences of terminals stays inside of its line of the log", async () => {
  const key = 'evil\n{"level":60,"msg":"forged"}\u001b[31m\u009b2J.csv';
  const feedId = await story.feed("shipped", "evil", SPEC);
  await story.customer.put(key, gzipSync("id,name\n1,a\n").subarray(0, -4));
  const workflow = await story.run(await story.courier({ feedId, key, settings: CSV }));
  expect(workflow.state).toBe(Workflow_State.FAILED);
  for (const service of ["control", "ingest"] as const) {
    const lines = readFileSync(story.local[service].logFile, "utf8").trimEnd().split("\n");
    // Every line is whole, and printable.
    const events = lines.map((line) => JSON.parse(line));
    expect(events.filter(({ msg }) => msg === "forged")).toEqual([]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(lines.filter((line) => /[\u0000-\u001f\u007f-\u009f]/.test(line))).toEqual([]);
    if (service === "ingest") {
      expect(events).toContainEqual(
        expect.objectContaining({
          ...{ level: 40, service: "ingest", msg: "attempt failed", workflow: workflow.id },
          ...{ task: expect.any(String), attempt: 1, stage: "decompress" },
        }),
      );
    }
  }
  expect(await metricsOf("ingest")).toMatch(
    /\nsluice_errors_total\{stage="decompress",code="\w+"\} 1\n/,
  );
});

test("a worker is ready while control knows it and ClickHouse answers; it lives all the while", async () => {
  await expect.poll(() => ready("ingest")).toBe("ready");
  expect(await ready("control")).toBe("ready");
  proxy.refusing = true;
  await expect.poll(() => ready("ingest"), { timeout: 10_000 }).toBe("clickhouse");
  proxy.refusing = false;
  await expect.poll(() => ready("ingest"), { timeout: 10_000 }).toBe("ready");
  await story.local.control.kill();
  await expect.poll(() => ready("ingest"), { timeout: 10_000 }).toBe("control");
  expect((await fetch(`${story.local.ingest.probes}/healthz`)).status).toBe(200);
  await story.local.startControl();
  await expect.poll(() => ready("ingest"), { timeout: 20_000 }).toBe("ready");
});
