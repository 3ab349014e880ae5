import { EventEmitter, once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { type Lease, LeaseSchema } from "@sluice/api/ingest/v1/task_pb";
import type {
  ClaimTasksRequest,
  CompleteTaskRequest,
  FailTaskRequest,
} from "@sluice/api/ingest/v1/task_service_pb";
import { StageError } from "@sluice/errors";
import { createWarehouse } from "@sluice/load";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { createLoadThreadPool } from "../src/load-thread-pool.ts";
import { NO_WATCH } from "../src/telemetry/worker-watch.ts";
import { runWorker } from "../src/worker.ts";
import { type ControlDouble, type ControlHandlers, serveControl } from "./control-double.ts";
import { loadLease } from "./load-lease.ts";
import { startSilentStore } from "./silent-store.ts";

const AWAY = new StageError("load", "unavailable", "control is starting");
const TAKEN_OVER = new StageError("load", "table_changed", "a newer attempt is at work");

/** The worker, and what it said to control, in order. */
interface House {
  readonly control: ControlDouble;
  readonly claims: ClaimTasksRequest[];
  readonly completed: CompleteTaskRequest[];
  readonly failed: FailTaskRequest[];
  /** Hands a task out at the next claim. */
  offer(lease: Lease): void;
  /** Resolves once the worker has written a line of log that holds `text`. */
  logged(text: string): Promise<void>;
  run(): void;
}

let cleanUp: AsyncDisposableStack;
beforeEach(() => {
  cleanUp = new AsyncDisposableStack();
});
afterEach(async () => await cleanUp.disposeAsync());

async function build(handlers: Partial<ControlHandlers> = {}, capacity = 1): Promise<House> {
  const offered: Lease[] = [];
  const events = new EventEmitter();
  const lines: string[] = [];
  const claims: ClaimTasksRequest[] = [];
  const completed: CompleteTaskRequest[] = [];
  const failed: FailTaskRequest[] = [];
  const control = cleanUp.use(
    await serveControl({
      heartbeat: async () => ({}),
      ...handlers,
      async claimTasks(request, signal) {
        claims.push(request);
        while (offered.length === 0) await once(events, "offered", { signal });
        return { leases: offered.splice(0, request.capacity) };
      },
      async completeTask(request, signal) {
        completed.push(request);
        return (await handlers.completeTask?.(request, signal)) ?? {};
      },
      async failTask(request, signal) {
        failed.push(request);
        return (await handlers.failTask?.(request, signal)) ?? {};
      },
    }),
  );
  const config = {
    ...readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" }),
    workerId: "worker",
    capacity,
  };
  const warehouse = createWarehouse(config.clickhouse);
  cleanUp.defer(async () => await warehouse.close());
  const threads = createLoadThreadPool(config);
  const log = pino(
    { level: "info" },
    {
      write(line: string) {
        lines.push(line);
        events.emit("logged");
      },
    },
  );
  return {
    control,
    claims,
    completed,
    failed,
    offer(lease) {
      offered.push(lease);
      events.emit("offered");
    },
    async logged(text) {
      while (!lines.some((line) => line.includes(text))) await once(events, "logged");
    },
    run() {
      const stop = new AbortController();
      const inspectUrl = "http://127.0.0.1:2";
      const { client } = control;
      const ended = runWorker(
        { config, client, warehouse, threads, inspectUrl, log, watch: NO_WATCH },
        stop.signal,
      );
      cleanUp.defer(async () => {
        stop.abort();
        await threads.close();
        await ended;
      });
    },
  };
}

/** A discard of no feed: done without a ClickHouse. */
function easyLease(taskId: string, leaseMs = 60_000): Lease {
  return create(LeaseSchema, {
    taskId,
    attempt: 2,
    workflowId: "workflow",
    expireTime: timestampFromMs(Date.now() + leaseMs),
    work: { case: "discard", value: {} },
  });
}

test("a task's result names the attempt, and then the worker claims again", async () => {
  const { run, offer, completed, claims } = await build();
  run();
  offer(easyLease("first"));
  await expect.poll(() => claims.length).toBe(2);
  expect(claims[0]).toMatchObject({
    workerId: "worker",
    capacity: 1,
    inspectUrl: "http://127.0.0.1:2",
  });
  expect(completed).toMatchObject([{ taskId: "first", attempt: 2, result: { case: "discard" } }]);
});

test("a control that is away is asked again until it is back", async () => {
  const { run, offer, control, logged, completed } = await build();
  await control.close();
  run();
  await logged("control did not answer");
  offer(easyLease("late"));
  await control.open();
  await expect.poll(() => completed.length, { timeout: 10_000 }).toBe(1);
});

test("a result that control does not hear at first is told again, once heard no more", async () => {
  let deaf = 2;
  const { run, offer, completed, failed, claims } = await build({
    async completeTask() {
      if (deaf-- > 0) throw AWAY;
      return {};
    },
  });
  run();
  offer(easyLease("told"));
  await expect.poll(() => claims.length, { timeout: 10_000 }).toBe(2);
  expect(completed.map(({ taskId }) => taskId)).toEqual(["told", "told", "told"]);
  expect(failed).toEqual([]);
});

test("a result that nobody waits for any more is dropped, not told as a failure", async () => {
  const { run, offer, completed, failed, logged, claims } = await build({
    async completeTask() {
      throw TAKEN_OVER;
    },
  });
  run();
  offer(easyLease("late"));
  await logged("task dropped");
  await expect.poll(() => claims.length).toBe(2);
  expect(completed).toHaveLength(1);
  expect(failed).toEqual([]);
});

test("a result is no longer told when the lease has ended meanwhile", async () => {
  const { run, offer, failed, logged } = await build({
    async heartbeat() {
      throw AWAY;
    },
    async completeTask() {
      throw AWAY;
    },
  });
  run();
  offer(easyLease("unheard", 800));
  await logged("control could not be reached in time");
  expect(failed).toEqual([]);
});

test("work that the worker does not know fails with a code, told until it is heard", async () => {
  let deaf = 1;
  const { run, offer, failed, claims, completed } = await build({
    async failTask() {
      if (deaf-- > 0) throw AWAY;
      return {};
    },
  });
  run();
  offer({ ...easyLease("news from the future"), work: { case: undefined } });
  await expect.poll(() => claims.length, { timeout: 10_000 }).toBe(2);
  const failure = {
    taskId: "news from the future",
    failure: { stage: Stage.LOAD, code: "rejected" },
  };
  expect(failed).toMatchObject([failure, failure]);
  expect(completed).toEqual([]);
});

test("a failure of a load arrives with its stage, its code and its place", async () => {
  const { run, offer, failed } = await build();
  run();
  // Nothing listens on port 1.
  offer(loadLease({ endpoint: "http://127.0.0.1:1" }));
  await expect.poll(() => failed.length, { timeout: 20_000 }).toBe(1);
  expect(failed).toMatchObject([
    {
      taskId: "load",
      failure: {
        stage: Stage.CONNECT,
        code: "source_unavailable",
        coordinate: { bucket: "acme", key: "people.csv" },
      },
    },
  ]);
});

test("a load that is asked to stop lets go of its source, says so, and gives its place away", async () => {
  const store = cleanUp.use(await startSilentStore());
  let stop = false;
  const { run, offer, claims, completed, failed } = await build({
    heartbeat: async ({ taskId }) => ({ stop: stop && taskId === "load" }),
  });
  run();
  offer(loadLease({ endpoint: store.url }));
  await store.asked;
  expect(claims).toHaveLength(1);
  stop = true;
  await store.hungUp;
  offer(easyLease("next"));
  await expect.poll(() => completed.map(({ taskId }) => taskId)).toEqual(["next"]);
  expect(failed).toMatchObject([
    { taskId: "load", failure: { stage: Stage.LOAD, code: "worker_lost" } },
  ]);
});

test("a list that is asked to stop says that it stopped, whatever its source made of that", async () => {
  const store = cleanUp.use(await startSilentStore());
  const { run, offer, failed } = await build({ heartbeat: async () => ({ stop: true }) });
  run();
  const load = loadLease({ endpoint: store.url });
  if (load.work.case !== "loadObject") throw new Error("not a load");
  const { connection } = load.work.value;
  const selections = [{ selection: { case: "key" as const, value: "people.csv" } }];
  const dates = ["2026-11-20"];
  const work = {
    case: "list" as const,
    value: { ...(connection && { connection }), selections, dates },
  };
  offer(
    create(LeaseSchema, {
      taskId: "list",
      attempt: 1,
      expireTime: load.expireTime ?? timestampFromMs(0),
      work,
    }),
  );
  await expect.poll(() => failed.length, { timeout: 20_000 }).toBe(1);
  expect(failed).toMatchObject([{ taskId: "list", failure: { code: "worker_lost" } }]);
});

test("a stop is answered by a worker whose clock is ahead of control's, too", async () => {
  const { run, offer, failed, claims } = await build({
    heartbeat: async () => ({ stop: true }),
    async completeTask() {
      throw AWAY;
    },
  });
  run();
  offer(easyLease("ahead", -60_000));
  await expect.poll(() => claims.length, { timeout: 10_000 }).toBe(2);
  expect(failed).toMatchObject([{ taskId: "ahead", failure: { code: "worker_lost" } }]);
});

test("a worker claims no more than it has places for", async () => {
  const store = cleanUp.use(await startSilentStore());
  const { run, offer, claims } = await build({}, 2);
  run();
  offer(loadLease({ endpoint: store.url }));
  await store.asked;
  await expect.poll(() => claims.map(({ capacity }) => capacity)).toEqual([2, 1]);
});
