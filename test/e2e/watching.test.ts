import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import {
  type Task,
  Task_Kind,
  type Task_State,
  type Workflow,
  Workflow_State,
} from "@sluice/api/control/v1/workflow_pb";
import type { WatchWorkflowResponse } from "@sluice/api/control/v1/workflow_service_pb";
import { type ExitCode, runCli } from "@sluice/cli";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DAY, INTEGER, STRING, type Story, startStory } from "./story.ts";
import { createTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** Whoever watches a run sees how far it is, and loses nothing when the API goes away and comes back. */

const ROWS = 500_000;
/** Of a file that makes several batches: counts move with each. */
const MANY_ROWS = 1_600_000;
const MIB = 2 ** 20;

let proxy: TcpProxy;
let story: Story;
let home: string;
beforeAll(async () => {
  proxy = await createTcpProxy();
  story = await startStory({
    ingestEnvironment: { CLICKHOUSE_URL: proxy.url, SLUICE_MEMORY_BUDGET_MIB: "64" },
  });
  proxy.target = story.local.clickhouse?.httpPort ?? 0;
  home = await mkdtemp(join(tmpdir(), "sluice-watching-"));
  const rows = Array.from({ length: ROWS }, (_, i) => `${i},name of customer ${i}`);
  await story.customer.put("rows.csv", `id,name\n${rows.join("\n")}\n`);
  const many = Array.from({ length: MANY_ROWS }, (_, i) => `${i},${(i * 7919) % 100_000}`);
  await story.customer.put("many.csv", `id,name\n${many.join("\n")}\n`);
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});
beforeEach(() => {
  proxy.held = false;
  proxy.bytesPerSecond = undefined;
});

async function courier(feedName: string, key: string): Promise<string> {
  const feedId = await story.feed("watching", feedName, {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "name", type: STRING },
    ],
    primaryKey: ["id"],
  });
  return await story.courier({ feedId, key });
}

async function start(feedName: string, key = "rows.csv"): Promise<string> {
  const id = await courier(feedName, key);
  const run = await story.couriers.runCourier({ id, scope: { case: "date", value: DAY } });
  return run.workflowId;
}

async function loading(workflowId: string): Promise<void> {
  const rows = async (): Promise<number> => {
    const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
    return Number(workflow?.totals?.rows ?? 0);
  };
  await expect.poll(rows, { interval: 50, timeout: 60_000 }).toBeGreaterThan(0);
}

/** A command line that goes on while the test does. */
interface Running {
  readonly out: readonly string[];
  err(): string;
  interrupt(): void;
  readonly code: Promise<ExitCode>;
}

function sluice(args: readonly string[], more: Readonly<Record<string, string>> = {}): Running {
  const out: string[] = [];
  let err = "";
  const interrupted = new AbortController();
  const code = runCli(args, {
    env: { HOME: home, SLUICE_URL: story.local.url, SLUICE_API_KEY: story.local.adminKey, ...more },
    isInteractive: false,
    columns: 100,
    out: (text) => void out.push(...text.trimEnd().split("\n")),
    err: (text) => {
      err += text;
    },
    readInput: async () => Buffer.alloc(0),
    signal: interrupted.signal,
  });
  return { out, err: () => err, interrupt: () => interrupted.abort(), code };
}

interface Line {
  readonly state: string;
  readonly totals?: { readonly rows?: string };
}

/** What machines read, one JSON for each event. */
const linesOf = ({ out }: Running): Line[] => out.map((line): Line => JSON.parse(line));

const lost = async (running: Running): Promise<void> =>
  await expect.poll(running.err, { interval: 20, timeout: 30_000 }).toMatch(/reconnecting/);

test("rows, bytes and rows a second move in the stream and in GetWorkflow while a load runs", async () => {
  proxy.bytesPerSecond = 2 * MIB;
  const id = await start("rates", "many.csv");
  const seen: Workflow[] = [];
  let asked: Workflow | undefined;
  for await (const { workflow } of story.workflows.watchWorkflow({ id })) {
    if (workflow === undefined) continue;
    seen.push(workflow);
    const rows = Number(workflow.totals?.rows ?? 0);
    if (rows > 0) asked ??= (await story.workflows.getWorkflow({ id })).workflow;
  }
  const running = seen.filter(
    ({ state, totals }) => state === Workflow_State.RUNNING && Number(totals?.rows) > 0,
  );
  const between = running.filter(({ totals }) => Number(totals?.rows) < MANY_ROWS);
  expect(between.length).toBeGreaterThan(1);
  for (const workflow of [...between, asked]) {
    expect(workflow?.totals?.rowsPerSecond).toBeGreaterThan(0);
    expect(Number(workflow?.totals?.bytesRead)).toBeGreaterThan(0);
    expect(Number(workflow?.totals?.bytesTotal)).toBeGreaterThan(MANY_ROWS);
    const load = workflow?.tasks.find(({ kind }) => kind === Task_Kind.LOAD_OBJECT);
    if (load === undefined) continue; // It did not change with this event.
    expect(load.progress?.rowsPerSecond).toBeGreaterThan(0);
    expect(Number(load.progress?.rows)).toBeGreaterThan(0);
    expect(load.progress?.elapsed).toBeDefined();
  }
  expect(asked?.state).toBe(Workflow_State.RUNNING);
  const counts = running.map(({ totals }) => Number(totals?.rows));
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect(seen.at(-1)).toMatchObject({
    state: Workflow_State.SUCCEEDED,
    totals: { rows: BigInt(MANY_ROWS), rejectedRows: 0n },
  });
});

test("the stream goes on after_event where it broke, each event once and in order", async () => {
  proxy.bytesPerSecond = 4 * MIB;
  const id = await start("resumed");
  const seen: WatchWorkflowResponse[] = [];
  let breaks = 0;
  const watch = async (): Promise<void> => {
    const afterEvent = seen.at(-1)?.event ?? 0n;
    for await (const answer of story.workflows.watchWorkflow({ id, afterEvent })) {
      seen.push(answer);
      if (breaks > 0 || Number(answer.workflow?.totals?.rows ?? 0) === 0) continue;
      breaks++;
      proxy.held = true;
      await story.local.control.kill();
    }
  };
  await expect(watch()).rejects.toThrow(ConnectError);
  await story.local.startControl();
  proxy.held = false;
  proxy.bytesPerSecond = undefined;
  await watch();

  const events = seen.map(({ event }) => Number(event));
  expect(events).toEqual([...new Set(events)].toSorted((a, b) => a - b));
  expect(seen.at(-1)?.workflow?.state).toBe(Workflow_State.SUCCEEDED);
  // Tasks come with the event that changed them: the last of each makes up what there is at the end.
  const statesOf = (tasks: readonly Task[]): Map<string, Task_State> =>
    new Map(
      tasks
        // What is thrown away is thrown away when the workflow has ended.
        .filter(({ kind }) => kind !== Task_Kind.DISCARD)
        .map((task) => [task.id, task.state]),
    );
  const { workflow } = await story.workflows.getWorkflow({ id });
  expect(statesOf(seen.flatMap((answer) => answer.workflow?.tasks ?? []))).toEqual(
    statesOf(workflow?.tasks ?? []),
  );
});

test("a watched run goes on over the death of the API, no line lost and none twice", async () => {
  proxy.bytesPerSecond = 4 * MIB;
  const watching = sluice(["watch", await start("watched"), "--json"]);
  await expect
    .poll(() => linesOf(watching).some(({ totals }) => Number(totals?.rows) > 0), {
      interval: 20,
      timeout: 60_000,
    })
    .toBe(true);
  proxy.held = true;
  await story.local.control.kill();
  await lost(watching);
  const before = watching.out.length;
  await story.local.startControl();
  proxy.held = false;
  proxy.bytesPerSecond = undefined;

  expect(await watching.code).toBe(0);
  expect(watching.err()).toMatch(/^lost the connection .*reconnecting.*\nconnected again\n$/);
  const lines = linesOf(watching);
  expect(lines.length).toBeGreaterThan(before + 1);
  expect(lines.at(-1)).toMatchObject({ state: "STATE_SUCCEEDED", totals: { rows: String(ROWS) } });
  // The last line is the whole workflow; those before it are its events.
  const events = watching.out.slice(0, -1);
  expect(new Set(events).size).toBe(events.length);
  const counts = lines.map(({ totals }) => Number(totals?.rows ?? 0));
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
});

test("a run that a person follows says that it reconnects, and ends as the workflow does", async () => {
  const { courier: made } = await story.couriers.getCourier({
    id: await courier("followed", "rows.csv"),
  });
  proxy.bytesPerSecond = 4 * MIB;
  const running = sluice(["run", made?.name ?? "", "--date", DAY]);
  await expect.poll(running.err, { interval: 20, timeout: 60_000 }).toMatch(/running/);
  const [workflowId = ""] = running.err().split("\n");
  await loading(workflowId);
  proxy.held = true;
  await story.local.control.kill();
  await lost(running);
  await story.local.startControl();
  proxy.held = false;
  proxy.bytesPerSecond = undefined;
  expect(await running.code).toBe(0);
  expect(running.err()).toMatch(/lost the connection.*\nconnected again\n/);
  expect(running.out.join("\n")).toMatch(/^state +succeeded$/m);
});

test("Ctrl-C and an API that stays away end a watched run", async () => {
  proxy.bytesPerSecond = 4 * MIB;
  const id = await start("left");
  const patient = sluice(["watch", id]);
  const impatient = sluice(["watch", id], { SLUICE_RECONNECT_SECONDS: "1" });
  await loading(id);
  proxy.held = true;
  await story.local.control.kill();
  await lost(patient);
  patient.interrupt();
  expect(await patient.code).toBe(130);
  expect(patient.err()).toMatch(/\ninterrupted\n$/);
  expect(await impatient.code).toBe(4);
  // What was never there is not waited for.
  expect(await sluice(["watch", id]).code).toBe(4);
  await story.local.startControl();
  proxy.held = false;
  proxy.bytesPerSecond = undefined;
  expect(await sluice(["watch", id]).code).toBe(0);
});
