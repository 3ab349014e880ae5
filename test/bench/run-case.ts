import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { DAY, type FileSettings } from "../e2e/story.ts";
import type { BenchCase } from "./bench-case.ts";
import type { BenchStack } from "./bench-stack.ts";
import type { DataFile } from "./data/cached-data.ts";
import { feedSpec, tableColumns } from "./data/columns.ts";
import { createFileMaker } from "./data/make-files.ts";
import type { PeerWork } from "./peers.ts";
import { cpuSeconds, peakBytes, resetPeak } from "./process-meter.ts";
import { atLeast, atMost, type LoadResult, median, spreadOf } from "./result.ts";
import { hashOf, quiet } from "./table-hash.ts";
import { shell } from "./tools.ts";

/** Bytes of ingest's resident set that no case may pass. */
export const MAX_RSS_BYTES = 350e6;

export const DATABASE = "bench";

/** A case whose files are in the bucket. */
export interface PreparedCase {
  readonly case: BenchCase;
  readonly rows: number;
  readonly files: readonly DataFile[];
  readonly courierId: string;
  /** What ours ends in, and the peer's table. */
  readonly table: string;
  readonly peerTable: string;
}

interface Ours {
  readonly seconds: number;
  readonly ingestCpu: number;
  readonly controlCpu: number;
  readonly workflow: Workflow;
}

export const tableNameOf = ({ name }: BenchCase): string => name.replaceAll("-", "_");
export const prefixOf = ({ name }: BenchCase): string => `${name}/`;

/** Makes the data or takes it from the disk, and the feed and the courier that load it. */
export async function prepareCase(
  stack: BenchStack,
  each: BenchCase,
  scale: number,
): Promise<PreparedCase> {
  const { story, clickhouse } = stack;
  const rows = Math.max(1_000, Math.round(each.rows * scale));
  const making = { files: createFileMaker(clickhouse), pgpKeys: stack.pgpKeys };
  const files = await each.makeData(rows, making);
  await stack.upload(prefixOf(each), files);
  const name = tableNameOf(each);
  const feedId = await story.feed(
    DATABASE,
    name,
    feedSpec(each.columns, each.primaryKey, each.feed),
  );
  const settings: FileSettings = each.isPgp
    ? {
        ...each.settings,
        encryption: { case: "pgp", value: { credentialId: await stack.pgpCredential() } },
      }
    : each.settings;
  const [first] = files;
  if (first === undefined) throw new Error("the case has no file");
  const courierId = await story.courier({
    feedId,
    settings,
    operation: LoadOperation.TRUNCATE_AND_LOAD,
    ...(each.hasManyFiles
      ? { pattern: `'${prefixOf(each)}'*'.csv'` }
      : { key: prefixOf(each) + first.name }),
  });
  const columns = tableColumns(each.columns, each.primaryKey);
  const peerTable = `${DATABASE}.${name}_peer`;
  await clickhouse.command({ query: `CREATE DATABASE IF NOT EXISTS ${DATABASE}` });
  await clickhouse.command({
    query: `CREATE TABLE ${peerTable} (${structureOf(columns)}) ENGINE = MergeTree ORDER BY (${each.primaryKey.join(", ")})`,
  });
  return { case: each, rows, files, courierId, table: `${DATABASE}.${name}__rows`, peerTable };
}

const structureOf = (columns: readonly { name: string; type: string }[]): string =>
  columns.map(({ name, type }) => `${name} ${type}`).join(", ");

/** Removes the files and the tables' rows: the next case has the disk and the server for itself. */
export async function removeCase(stack: BenchStack, prepared: PreparedCase): Promise<void> {
  const { clickhouse } = stack;
  await stack.remove(prefixOf(prepared.case), prepared.files);
  const like = tableNameOf(prepared.case);
  const found = await clickhouse.query({
    query: `SELECT name FROM system.tables WHERE database = '${DATABASE}' AND engine LIKE '%MergeTree' AND (name = '${like}_peer' OR startsWith(name, '${like}__'))`,
    format: "JSONEachRow",
  });
  for (const { name } of await found.json<{ name: string }>()) {
    await clickhouse.command({ query: `TRUNCATE TABLE IF EXISTS ${DATABASE}.\`${name}\`` });
  }
}

/** One run of the courier, from the call to the end of its workflow. */
export async function runOurs(
  { story }: BenchStack,
  { courierId }: Pick<PreparedCase, "courierId">,
  options: { readonly reloadUnchanged: boolean } = { reloadUnchanged: true },
): Promise<Ours> {
  const { ingest, control } = story.local;
  const ingestBefore = cpuSeconds(ingest.pid);
  const controlBefore = cpuSeconds(control.pid);
  const began = performance.now();
  const { workflowId } = await story.couriers.runCourier({
    id: courierId,
    scope: { case: "date", value: DAY },
    ...options,
  });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const seconds = (performance.now() - began) / 1000;
  const ingestCpu = cpuSeconds(ingest.pid) - ingestBefore;
  const controlCpu = cpuSeconds(control.pid) - controlBefore;
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  const wanted = options.reloadUnchanged ? Workflow_State.SUCCEEDED : Workflow_State.SKIPPED;
  if (workflow?.state !== wanted) {
    throw new Error(
      `the workflow ended in state ${workflow?.state}: ${workflow?.failure?.message ?? "no failure"}`,
    );
  }
  return { seconds, ingestCpu, controlCpu, workflow };
}

async function runPeer(stack: BenchStack, prepared: PreparedCase): Promise<number> {
  const { case: each, files, rows, peerTable } = prepared;
  const { story, clickhouse } = stack;
  const { aws, clickhouse: server } = story.local;
  const folder = join(stack.folder, "peer");
  await mkdir(folder, { recursive: true });
  const base = `${aws.url}/${story.customer.bucket}/${prefixOf(each)}`;
  const { accessKeyId, secretAccessKey } = aws.adminKeys;
  const [first] = files;
  const query = encodeURIComponent(`INSERT INTO ${peerTable} FORMAT CSVWithNames`);
  const gnupg = each.isPgp ? { GNUPGHOME: (await stack.pgpKeys()).home } : {};
  const work: PeerWork = {
    table: peerTable,
    structure: structureOf(tableColumns(each.columns, each.primaryKey)),
    columns: each.columns,
    rows,
    urls: files.map(({ name }) => base + name),
    glob: each.hasManyFiles ? `${base}*.csv` : `${base}${first?.name}`,
    folder,
    accessKeyId,
    secretAccessKey,
    sql: async (sql) => void (await clickhouse.command({ query: sql })),
    shell: async (script, environment = {}) =>
      await shell(
        `s3_get() { curl -sS --fail-with-body -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --aws-sigv4 "aws:amz:$REGION:s3" --user "$S3_USER" "$S3_URL"; }
         insert() { curl -sS --fail-with-body -H 'Expect:' -H "X-ClickHouse-User: $CH_USER" -H "X-ClickHouse-Key: $CH_KEY" -X POST -T - "$INSERT_URL"; }
         cd "$FOLDER"
         ${script}`,
        {
          S3_URL: base + (first?.name ?? ""),
          S3_USER: `${accessKeyId}:${secretAccessKey}`,
          REGION: aws.region,
          INSERT_URL: `${server?.url}/?query=${query}`,
          CH_USER: server?.users.admin.name ?? "",
          CH_KEY: server?.users.admin.password ?? "",
          FOLDER: folder,
          ...gnupg,
          ...environment,
        },
      ),
  };
  try {
    const began = performance.now();
    await each.peer.run(work);
    return (performance.now() - began) / 1000;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Ours and the peer's in turn, the first pair to warm up; every pair ends in equal tables or fails the case. */
export async function measureCase(
  stack: BenchStack,
  prepared: PreparedCase,
  rounds: number,
  tell: (line: string) => void,
): Promise<LoadResult> {
  const { case: each, files, table, peerTable } = prepared;
  const { clickhouse, story } = stack;
  const columns = each.columns.map(({ name }) => name);
  const ours: Ours[] = [];
  const peer: number[] = [];
  let rowsLoaded = 0;
  let peak = 0;
  for (let round = 0; round <= rounds; round++) {
    await quiet(clickhouse, DATABASE);
    const { pid } = story.local.ingest;
    resetPeak(pid);
    const our = await runOurs(stack, prepared);
    peak = Math.max(peak, peakBytes(pid));
    const hash = await hashOf(clickhouse, table, columns);
    await quiet(clickhouse, DATABASE);
    const seconds = await runPeer(stack, prepared);
    const peerHash = await hashOf(clickhouse, peerTable, columns);
    if (hash.rows !== peerHash.rows || hash.hash !== peerHash.hash) {
      throw new Error(
        `round ${round} is void: ours has ${hash.rows} rows of hash ${hash.hash}, the peer's ${peerHash.rows} rows of hash ${peerHash.hash}`,
      );
    }
    // Now, not before its next turn: what is merged of these rows would only be waited for.
    if (!each.peer.keepsTable) {
      await clickhouse.command({ query: `TRUNCATE TABLE ${peerTable}` });
    }
    rowsLoaded = hash.rows;
    tell(
      `${each.name}, ${round === 0 ? "warm-up" : `round ${round}`}: ours ${our.seconds.toFixed(2)} s, peer ${seconds.toFixed(2)} s, ratio ${(seconds / our.seconds).toFixed(2)}`,
    );
    if (round === 0) continue;
    ours.push(our);
    peer.push(seconds);
  }
  const oursSpread = spreadOf(ours.map(({ seconds }) => seconds));
  const ratio = median(ours.map(({ seconds }, at) => (peer[at] ?? Number.NaN) / seconds));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const ingestCpu = median(ours.map((run) => run.ingestCpu));
  const cpuLimit = each.maxCpuSecondsPerMillionRows;
  const routes = ours.at(-1)?.workflow.tasks.map((task) => task.route) ?? [];
  return {
    kind: "load",
    case: each.name,
    data: each.data,
    peer: each.peer.name,
    rows: rowsLoaded,
    bytes,
    ours_s: oursSpread,
    peer_s: spreadOf(peer),
    ratio,
    to_reach: each.toReach,
    beyond: each.beyond,
    ingest_cpu_s: ingestCpu,
    control_cpu_s: median(ours.map((run) => run.controlCpu)),
    peak_rss_bytes: peak,
    mb_per_s: bytes / 1e6 / oursSpread.median,
    rows_per_s: rowsLoaded / oursSpread.median,
    route: [...new Set(routes)].filter((route) => route !== "").join("; "),
    checks: [
      atLeast("ratio to the peer", ratio, each.toReach),
      atMost("peak RSS of ingest, MB", peak / 1e6, MAX_RSS_BYTES / 1e6),
      ...(cpuLimit === undefined
        ? []
        : [
            atMost(
              "CPU-seconds of ingest for a million rows",
              ingestCpu / (rowsLoaded / 1e6),
              cpuLimit,
            ),
          ]),
    ],
  };
}
