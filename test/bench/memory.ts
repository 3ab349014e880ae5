import { readFileSync, writeFileSync } from "node:fs";
import { JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import {
  DAY,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "../e2e/story.ts";
import { createTcpProxy, type TcpProxy } from "../e2e/tcp-proxy.ts";
import {
  csvBlock,
  gzipMembers,
  ndjsonBlock,
  pgpMessage,
  repeated,
  repeatedRowGroups,
} from "./generated-objects.ts";
import {
  createGeneratedStore,
  type GeneratedObject,
  type GeneratedStore,
} from "./generated-store.ts";

/**
 * Prints the peak memory of the ingest process while it loads large objects, which are generated while they are
 * read. `--gib 5` sets their size. Run at release; it fails above the limit.
 */

const LIMIT_BYTES = 350e6;
const GIB = 2 ** 30;
const at = process.argv.indexOf("--gib");
const size = (at > 0 ? Number(process.argv[at + 1]) : 5) * GIB;
const PASSPHRASE = "open sesame";
/** How long a load into a slow ClickHouse is watched before it is stopped. */
const SLOW_MS = 60_000;

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
    { incomingName: "email", type: STRING },
    {
      incomingName: "amount",
      type: { type: { case: "decimal", value: { precision: 12, scale: 2 } } },
    },
    { incomingName: "day", type: { type: { case: "date", value: {} } } },
  ],
  primaryKey: ["id"],
};
const CSV: FileSettings = { format: { case: "delimited", value: {} } };

interface Case {
  readonly name: string;
  readonly object: GeneratedObject;
  readonly settings: FileSettings;
  readonly isSlow?: true;
}

await using store = await createGeneratedStore();
await using proxy = await createTcpProxy();
await using story = await startStory({
  controlEnvironment: { SLUICE_ALLOWED_ENDPOINTS: store.url },
  ingestEnvironment: { CLICKHOUSE_URL: proxy.url },
});
proxy.target = story.local.clickhouse?.httpPort ?? 0;
const credentialId = await credentialOf(story, store);

const HEAD = Buffer.from("id,name,email,amount,day\n");
const rows = csvBlock(100_000);
const { credential: phrase } = await story.credentials.createCredential({
  credential: { name: "phrase", kind: { case: "pgp", value: { passphrase: PASSPHRASE } } },
});
const pgp = { case: "pgp", value: { credentialId: phrase?.id ?? "" } } as const;
const cases: readonly Case[] = [
  {
    name: "CSV.gz.pgp",
    object: pgpMessage(gzipMembers(HEAD, rows, size), PASSPHRASE),
    settings: { ...CSV, encryption: pgp },
  },
  {
    name: "Parquet",
    object: repeatedRowGroups(await parquetSample(story), size),
    settings: { format: { case: "parquet", value: {} } },
  },
  {
    name: "NDJSON",
    object: repeated(Buffer.alloc(0), ndjsonBlock(50_000), size),
    settings: { format: { case: "json", value: { shape: JsonSettings_Shape.LINES } } },
  },
  {
    name: "CSV into 1 MB/s",
    object: repeated(HEAD, rows, size),
    settings: CSV,
    isSlow: true,
  },
];
let highest = 0;
for (const each of cases) highest = Math.max(highest, await measure(story, proxy, store, each));
process.stdout.write(`highest: ${mb(highest)} of ${mb(LIMIT_BYTES)}\n`);
process.exitCode = highest < LIMIT_BYTES ? 0 : 1;

async function measure(
  running: Story,
  slow: TcpProxy,
  { objects }: GeneratedStore,
  each: Case,
): Promise<number> {
  const name = each.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_");
  objects.set(name, each.object);
  const feedId = await running.feed("memory", name, SPEC);
  const id = await running.courier({ feedId, key: name, settings: each.settings, credentialId });
  const { pid } = running.local.ingest;
  // Lets the kernel count the peak anew.
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  slow.bytesPerSecond = each.isSlow ? 1e6 : undefined;
  const began = performance.now();
  const { workflowId } = await running.couriers.runCourier({
    id,
    scope: { case: "date", value: DAY },
  });
  if (each.isSlow) {
    setTimeout(() => void running.workflows.cancelWorkflow({ id: workflowId }), SLOW_MS);
  }
  for await (const _ of running.workflows.watchWorkflow({ id: workflowId }));
  slow.bytesPerSecond = undefined;
  const seconds = (performance.now() - began) / 1000;
  const { workflow } = await running.workflows.getWorkflow({ id: workflowId });
  const wanted = each.isSlow ? Workflow_State.STOPPED : Workflow_State.SUCCEEDED;
  if (workflow?.state !== wanted) {
    throw new Error(`${each.name}: state ${workflow?.state}, ${workflow?.failure?.message}`);
  }
  const peak = peakBytes(pid);
  const { rows: loaded = 0n, bytesRead = 0n } = workflow.totals ?? {};
  process.stdout.write(
    `${each.name}: ${(Number(bytesRead) / GIB).toFixed(2)} GiB read, ${loaded} rows, ${seconds.toFixed(0)} s, peak ${mb(peak)}\n`,
  );
  await running.clickhouse.command({ query: `TRUNCATE TABLE memory.${name}__rows` });
  objects.delete(name);
  return peak;
}

async function credentialOf(running: Story, { url, bucket }: GeneratedStore): Promise<string> {
  const value = { accessKeyId: "any", secretAccessKey: "any", bucket, endpoint: url };
  const { credential } = await running.credentials.createCredential({
    credential: { name: "generated", kind: { case: "accessKey", value } },
  });
  return credential?.id ?? "";
}

async function parquetSample(running: Story): Promise<Buffer> {
  const { stream } = await running.clickhouse.exec({
    query: `SELECT number::Int64 AS id, concat('name ', substring(hex(MD5(toString(number))), 1, 12)) AS name,
        concat(lower(hex(SHA1(toString(number)))), '@example.com') AS email,
        toDecimal64((number * 7919) % 100000, 2) AS amount, toDate32('2026-01-01') + (number % 300) AS day
      FROM numbers(1000000) FORMAT Parquet
      SETTINGS output_format_parquet_row_group_size = 1000000, output_format_parquet_row_group_size_bytes = 1000000000, output_format_parquet_parallel_encoding = 0`,
  });
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part as Uint8Array);
  return Buffer.concat(parts);
}

function peakBytes(pid: number): number {
  const [, kib = "0"] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
