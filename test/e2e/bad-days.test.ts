import { execFileSync } from "node:child_process";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { Task_Kind, type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";
import { createTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** What happens when a worker dies, ClickHouse is slow, or ClickHouse is gone. */

const ROWS = 1_000_000;
const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const MIB = 1024 * 1024;

let proxy: TcpProxy;
let story: Story;
beforeAll(async () => {
  proxy = await createTcpProxy();
  story = await startStory({
    controlEnvironment: {
      SLUICE_LEASE_MS: "3000",
      SLUICE_MAX_ATTEMPTS: "3",
      SLUICE_RETRY_DELAY_MS: "300",
    },
    ingestEnvironment: {
      CLICKHOUSE_URL: proxy.url,
      SLUICE_CLICKHOUSE_RETRY_MS: "1500",
      SLUICE_MEMORY_BUDGET_MIB: "64",
    },
  });
  proxy.target = story.local.clickhouse?.httpPort ?? 0;
  const rows = Array.from({ length: ROWS }, (_, i) => `${i},name of customer ${i}`);
  await story.customer.put("million.csv", `id,name\n${rows.join("\n")}\n`);
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});
beforeEach(() => {
  proxy.held = false;
  proxy.refusing = false;
  proxy.bytesPerSecond = undefined;
});

async function start(feedName: string): Promise<string> {
  const feedId = await story.feed("bad_days", feedName, SPEC);
  const id = await story.courier({ feedId, key: "million.csv" });
  const run = await story.couriers.runCourier({ id, scope: { case: "date", value: DAY } });
  return run.workflowId;
}

async function until(workflowId: string, reached: (workflow: Workflow) => boolean): Promise<void> {
  for await (const { workflow } of story.workflows.watchWorkflow({ id: workflowId })) {
    if (workflow !== undefined && reached(workflow)) return;
  }
  throw new Error("the workflow ended before that");
}

async function end(workflowId: string): Promise<Workflow> {
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  if (workflow === undefined) throw new Error("the workflow is gone");
  return workflow;
}

const counts = async (table: string): Promise<unknown> =>
  await story.rows(
    `SELECT count() AS rows, uniqExact(id) AS ids, sum(id) AS total,
       countIf(name != concat('name of customer ', toString(id))) AS wrong FROM ${table}`,
  );
const WHOLE = [{ rows: ROWS, ids: ROWS, total: (ROWS * (ROWS - 1)) / 2, wrong: 0 }];

const residentBytes = (): number =>
  Number(execFileSync("ps", ["-o", "rss=", "-p", String(story.local.ingest.pid)]).toString()) *
  1024;

test("a worker killed in the middle of a load: another ends it with the same rows, none twice", async () => {
  proxy.bytesPerSecond = 8 * MIB;
  const workflowId = await start("killed");
  await until(workflowId, ({ totals }) => Number(totals?.rows) > 0 && Number(totals?.rows) < ROWS);
  await story.local.ingest.kill();
  proxy.bytesPerSecond = undefined;
  expect(await story.rows("SELECT count() AS n FROM bad_days.killed")).toEqual([{ n: 0 }]);
  await story.local.startIngest();

  const workflow = await end(workflowId);
  expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  const load = workflow.tasks.find(({ kind }) => kind === Task_Kind.LOAD_OBJECT);
  expect(load?.attempts.length).toBeGreaterThan(1);
  expect(load?.progress).toMatchObject({ rows: BigInt(ROWS), rejectedRows: 0n });
  expect(await counts("bad_days.killed")).toEqual(WHOLE);
  // Below the view too: nothing was staged twice for the view to hide.
  expect(await counts("bad_days.killed__rows")).toEqual(WHOLE);
});

test("ClickHouse takes nothing more: the S3 socket stops, memory stays, and later all rows arrive (SC-1)", async () => {
  const key = "wide.csv";
  const filler = "x".repeat(280);
  const rows = Array.from({ length: ROWS / 2 }, (_, i) => `${i},${filler}${i}`);
  const size = await story.customer.put(key, `id,name\n${rows.join("\n")}\n`);
  const feedId = await story.feed("bad_days", "slow", SPEC);
  const id = await story.courier({ feedId, key });
  const sent = async (): Promise<number> =>
    await story.local.aws.bytesSent(story.customer.bucket, key);

  proxy.bytesPerSecond = 4 * MIB;
  const { workflowId } = await story.couriers.runCourier({
    id,
    scope: { case: "date", value: DAY },
  });
  await until(workflowId, ({ totals }) => Number(totals?.bytesRead) > 0);
  proxy.held = true;
  const standstill = async (): Promise<void> => {
    let last = -1;
    let unchanged = 0;
    const look = async (): Promise<number> => {
      const now = await sent();
      unchanged = now === last ? unchanged + 1 : 0;
      last = now;
      return unchanged;
    };
    await expect.poll(look, { interval: 200, timeout: 30_000 }).toBeGreaterThan(5);
  };
  await standstill();
  const standing = { sent: await sent(), memory: residentBytes() };
  await standstill();
  expect(await sent()).toBe(standing.sent);
  expect(standing.sent).toBeLessThan(size);
  expect(residentBytes() - standing.memory).toBeLessThan(16 * MIB);
  expect(standing.memory).toBeLessThan(350 * MIB);

  proxy.bytesPerSecond = undefined;
  proxy.held = false;
  expect((await end(workflowId)).state).toBe(Workflow_State.SUCCEEDED);
  expect(await story.rows("SELECT count() AS n FROM bad_days.slow")).toEqual([{ n: ROWS / 2 }]);
});

test("ClickHouse gone in the middle of a load: load/unavailable after its retries, the table untouched", async () => {
  proxy.bytesPerSecond = 8 * MIB;
  const workflowId = await start("gone");
  await until(workflowId, ({ totals }) => Number(totals?.rows) > 0);
  proxy.refusing = true;
  const workflow = await end(workflowId);
  proxy.refusing = false;
  expect(workflow).toMatchObject({
    state: Workflow_State.FAILED,
    failure: { stage: Stage.LOAD, code: "unavailable", advice: expect.stringMatching(/\w/) },
  });
  expect(await story.rows("SELECT count() AS n FROM bad_days.gone")).toEqual([{ n: 0 }]);
});

test("ClickHouse gone for a moment: the load goes on by itself", async () => {
  proxy.bytesPerSecond = 8 * MIB;
  const workflowId = await start("back");
  await until(workflowId, ({ totals }) => Number(totals?.rows) > 0);
  proxy.refusing = true;
  proxy.bytesPerSecond = undefined;
  await until(workflowId, () => true);
  proxy.refusing = false;
  expect((await end(workflowId)).state).toBe(Workflow_State.SUCCEEDED);
  expect(await counts("bad_days.back__rows")).toEqual(WHOLE);
});

test("a workflow that is canceled stops, and leaves nothing", async () => {
  proxy.bytesPerSecond = 4 * MIB;
  const workflowId = await start("canceled");
  await until(workflowId, ({ totals }) => Number(totals?.rows) > 0);
  await story.workflows.cancelWorkflow({ id: workflowId });
  proxy.bytesPerSecond = undefined;
  expect((await end(workflowId)).state).toBe(Workflow_State.STOPPED);
  expect(await story.rows("SELECT count() AS n FROM bad_days.canceled")).toEqual([{ n: 0 }]);
  await expect
    .poll(
      async () =>
        await story.rows(
          "SELECT name FROM system.tables WHERE database = 'bad_days' AND name LIKE 'canceled\\_\\_stg%'",
        ),
    )
    .toEqual([]);
});

test("control restarted in the middle of a load: the workflow goes on", async () => {
  proxy.bytesPerSecond = 8 * MIB;
  const workflowId = await start("restarted");
  await until(workflowId, ({ totals }) => Number(totals?.rows) > 0);
  await story.local.control.kill();
  await story.local.startControl();
  proxy.bytesPerSecond = undefined;
  expect((await end(workflowId)).state).toBe(Workflow_State.SUCCEEDED);
  expect(await counts("bad_days.restarted__rows")).toEqual(WHOLE);
});
