import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RunCourierRequestSchema } from "@sluice/api/control/v1/courier_service_pb";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { Task_Kind, Task_State, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import {
  type WatchWorkflowResponse,
  WorkflowService,
} from "@sluice/api/control/v1/workflow_service_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { startControl } from "../src/control.ts";
import { type Database, openDatabase } from "../src/database/database.ts";
import { MAX_DAYS } from "../src/workflow/days.ts";
import { adminKeyIn, authorized } from "./testing/control-under-test.ts";
import { WORKER_KEY } from "./testing/inspect-double.ts";
import {
  doAll,
  doWell,
  type House,
  hasPostgres,
  makeStatePlace,
  objectsOf,
  openHouse,
  type StatePlace,
} from "./workflow-house.ts";

const OBJECTS = objectsOf("orders", "2026-03-01/a", "2026-03-01/b", "2026-03-02/a");

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

/** Watches until the workflow has ended, or `enough` says so. */
async function watch(
  house: House,
  id: string,
  afterEvent: bigint,
  enough: (seen: readonly WatchWorkflowResponse[]) => boolean = () => false,
): Promise<WatchWorkflowResponse[]> {
  const seen: WatchWorkflowResponse[] = [];
  for await (const event of house.workflows.watchWorkflow({ id, afterEvent })) {
    seen.push(event);
    if (enough(seen)) break;
  }
  return seen;
}

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`the workflow service on ${kind}`, { timeout: 30_000 }, () => {
    let place: StatePlace;
    let database: Database;
    beforeAll(async () => {
      place = await makeStatePlace(kind);
      database = await openDatabase(place.options);
    }, 60_000);
    afterAll(async () => {
      await database.close();
      await place[Symbol.asyncDispose]();
    });

    test("starts one workflow for a request id, also when it is asked twice at once", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const requestId = "again";
      const ids = await Promise.all([
        house.run(courier, { requestId }),
        house.run(courier, { requestId }),
      ]);
      ids.push(await house.run(courier, { requestId }));
      expect(new Set(ids).size).toBe(1);
      expect((await house.workflows.listWorkflows({})).workflows).toHaveLength(1);
      expect(await codeOf(house.run(courier, { requestId, date: "2026-03-02" }))).toBe(
        Code.AlreadyExists,
      );
      await house.run(courier);
      expect((await house.workflows.listWorkflows({})).workflows).toHaveLength(2);
    });

    test("refuses days that can't be run, naming the field", async () => {
      await using house = openHouse(database);
      const id = await house.courier({ loads: { lines: "orders" } });
      const today = new Date().toISOString().slice(0, 10);
      const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
      const period = (startDate: string, endDate: string): Promise<unknown> =>
        house.engine.runCourier(
          create(RunCourierRequestSchema, {
            id,
            scope: { case: "period", value: { startDate, endDate } },
          }),
        );
      await expect(house.run(id, { date: tomorrow })).rejects.toThrow(/date: .*after today/);
      await expect(house.run(id, { date: "2026-02-30" })).rejects.toThrow(/date: .*calendar/);
      await expect(period("2026-03-02", "2026-03-02")).rejects.toThrow(/period.end_date/);
      await expect(period("2010-01-01", "2026-01-01")).rejects.toThrow(String(MAX_DAYS));
      await expect(period(today, "9999-01-01")).rejects.toThrow(/period.end_date/);
      expect(await codeOf(period(today, tomorrow))).toBeUndefined();
      expect(await codeOf(house.run("nobody"))).toBe(Code.NotFound);
    });

    test("refuses to run a courier whose feed is not active", async () => {
      await using house = openHouse(database);
      const id = await house.courier({ loads: { drafted: "orders" } });
      await database.kysely
        .updateTable("feed")
        .set({ version: 0, draft: "{}" })
        .where("tenant", "=", house.tenant)
        .execute();
      await expect(house.run(id)).rejects.toThrow(/shop.drafted is not active/);
    });

    test("lists workflows newest first, page by page, and by courier", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const other = await house.courier({ loads: { lines: "orders" } });
      const ids = [await house.run(courier), await house.run(other), await house.run(courier)];
      const first = await house.workflows.listWorkflows({ pageSize: 2 });
      expect(first.workflows.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
      const pageToken = first.nextPageToken;
      const second = await house.workflows.listWorkflows({ pageSize: 2, pageToken });
      expect(second.workflows.map(({ id }) => id)).toEqual([ids[0]]);
      expect(second.nextPageToken).toBe("");
      const mine = await house.workflows.listWorkflows({ courierId: other });
      expect(mine.workflows.map(({ id }) => id)).toEqual([ids[1]]);
      expect(await codeOf(house.workflows.getWorkflow({ id: "nobody" }))).toBe(Code.NotFound);
    });

    test("tells every change once, over a break, and ends with the workflow", async () => {
      await using house = openHouse(database, { watchIntervalMs: 1 });
      const id = await house.run(await house.courier({ loads: { lines: "orders" } }));
      const start = await watch(house, id, 0n, () => true);
      const rest = watch(house, id, start[0]?.event ?? 0n);
      await doAll(house, OBJECTS);
      const events = [...start, ...(await rest)];
      const numbers = events.map(({ event }) => event);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => Number(a - b)));
      expect(events.at(-1)?.workflow?.state).toBe(Workflow_State.SUCCEEDED);
      // Putting the events together gives what a reader sees, and no event repeats a task unchanged.
      const tasks = new Map<string, string>();
      for (const { workflow } of events) {
        for (const task of workflow?.tasks ?? []) {
          const said = JSON.stringify([task.state, task.attempts.map(({ number }) => number)]);
          expect(tasks.get(task.id)).not.toBe(said);
          tasks.set(task.id, said);
        }
      }
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(tasks.size).toBe(workflow?.tasks.length);
      // The discard follows the end, and the watch does not wait for it.
      const isDiscard = ({ kind }: { readonly kind: Task_Kind }): boolean =>
        kind === Task_Kind.DISCARD;
      for (const task of workflow?.tasks ?? []) {
        if (isDiscard(task)) continue;
        expect(tasks.get(task.id)).toBe(JSON.stringify([Task_State.SUCCEEDED, [1]]));
      }
      const later = await watch(house, id, events.at(-1)?.event ?? 0n);
      expect(
        later.flatMap((event) => event.workflow?.tasks ?? []).filter((task) => !isDiscard(task)),
      ).toEqual([]);
    });

    test("ends a watch with UNAVAILABLE and a waiting claim with nothing when it stops", async () => {
      const house = openHouse(database);
      const id = await house.run(await house.courier({ loads: { lines: "orders" } }));
      const [list] = await house.claim("w");
      if (list === undefined) throw new Error("no list");
      await doWell(house, list, OBJECTS);
      await house.claim("w");
      const claim = house.claim("w", { waitMs: 60_000 });
      const seen: bigint[] = [];
      const watching = (async () => {
        for await (const { event } of house.workflows.watchWorkflow({ id })) {
          seen.push(event);
          await house[Symbol.asyncDispose]();
        }
      })();
      expect(await codeOf(watching)).toBe(Code.Unavailable);
      expect(seen).toHaveLength(1);
      expect(await claim).toEqual([]);
    });

    test("wakes a waiting claim when a task is made, without waiting for the next poll", async () => {
      await using house = openHouse(database, { pollMs: 3_600_000 });
      const courier = await house.courier({ loads: { lines: "orders" } });
      const claim = house.claim("w", { waitMs: 25_000 });
      const id = await house.run(courier);
      expect((await claim).map((lease) => lease.workflowId)).toEqual([id]);
    });

    test("lets several replicas share the work: each task goes to one worker", async () => {
      await using house = openHouse(database, { pollMs: 50 });
      await using replica = openHouse(database, { pollMs: 50 }, house.tenant);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const waiting = replica.claim("elsewhere", { waitMs: 25_000 });
      const id = await house.run(courier);
      const [list] = await waiting;
      if (list === undefined) throw new Error("the other replica saw no task");
      await doWell(replica, list, objectsOf("orders", ..."abcdefghij"));
      const claims = await Promise.all(
        [house, replica, house, replica].map((each, index) =>
          each.claim(`w${index}`, { capacity: 4 }),
        ),
      );
      const tasks = claims.flat().map(({ taskId }) => taskId);
      expect(new Set(tasks).size).toBe(tasks.length);
      for (const lease of claims.flat()) await doWell(house, lease);
      await Promise.all([doAll(house), doAll(replica)]);
      const { workflow } = await replica.workflows.getWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
      expect(workflow?.tasks.every((task) => task.attempts.length === 1)).toBe(true);
    });

    test("keeps checkpoints at once and progress now and then, and never lets one go back", async () => {
      await using house = openHouse(database, { progressIntervalMs: 3_600_000 });
      const id = await house.run(await house.courier({ loads: { lines: "orders" } }));
      const [list] = await house.claim("w");
      if (list === undefined) throw new Error("no list");
      await doWell(house, list, OBJECTS.slice(0, 1));
      const [load] = await house.claim("w");
      if (load === undefined) throw new Error("no load");
      const { taskId, attempt } = load;
      const report = (bytesRead: bigint, batches: bigint): Promise<unknown> =>
        house.tasks.heartbeat({
          taskId,
          attempt,
          progress: {
            progress: { stage: Stage.LOAD, bytesRead },
            checkpoint: { batches, rows: batches * 10n },
          },
        });
      const kept = async (): Promise<unknown> => {
        const row = await database.kysely
          .selectFrom("task")
          .select(["bytes_read", "done_batches", "done_rows"])
          .where("id", "=", taskId)
          .executeTakeFirstOrThrow();
        const { workflow } = await house.workflows.getWorkflow({ id });
        return [row.bytes_read, row.done_batches, row.done_rows, workflow?.totals?.bytesRead];
      };
      await report(10n, 1n);
      expect(await kept()).toEqual([10, 1, 10, 10n]);
      await report(20n, 1n);
      expect(await kept()).toEqual([10, 1, 10, 10n]);
      await report(30n, 2n);
      expect(await kept()).toEqual([30, 2, 20, 30n]);
      await report(40n, 1n);
      expect(await kept()).toEqual([30, 2, 20, 30n]);
    });

    test("fails a task whose credential can't be used any more, and says so", async () => {
      await using house = openHouse(database, {
        taskSecrets: {
          connection: () => Promise.reject(new ConnectError("gone", Code.NotFound)),
          pgpKeys: () => Promise.reject(new ConnectError("gone", Code.NotFound)),
        },
      });
      const id = await house.run(await house.courier({ loads: { lines: "orders" } }));
      expect(await house.claim("w")).toEqual([]);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow).toMatchObject({
        state: Workflow_State.FAILED,
        failure: { stage: Stage.CONNECT, code: "invalid_credentials" },
      });
    });

    test("goes on with its workflows after a restart, with the workers that held leases", async () => {
      await using own = await makeStatePlace(kind);
      const tenant = "restarted";
      const first = await openDatabase(own.options);
      const before = openHouse(first, {}, tenant);
      const id = await before.run(await before.courier({ loads: { lines: "orders" } }));
      const [list] = await before.claim("w");
      if (list === undefined) throw new Error("no list");
      await doWell(before, list, OBJECTS);
      const [held] = await before.claim("w", { capacity: 1 });
      if (held === undefined) throw new Error("no load");
      await before[Symbol.asyncDispose]();
      await first.close();

      const second = await openDatabase(own.options);
      try {
        await using after = openHouse(second, {}, tenant);
        await doWell(after, held);
        await doAll(after);
        const { workflow } = await after.workflows.getWorkflow({ id });
        expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
        expect(workflow?.totals?.rows).toBe(30n);
      } finally {
        await second.close();
      }
    });
  });
}

test("the service as it is deployed serves workflows and tasks over gRPC", {
  timeout: 30_000,
}, async () => {
  await using place = await makeStatePlace("PGlite");
  if (!("dataDir" in place.options)) throw new Error("PGlite has a directory");
  const config = readConfig({
    SLUICE_DATA_DIR: place.options.dataDir,
    SLUICE_CONTROL_PORT: "0",
    SLUICE_WORKER_KEY: WORKER_KEY,
  });
  const control = await startControl(config, pino({ level: "silent" }));
  try {
    const as = (authorization: string) =>
      createGrpcTransport({ baseUrl: control.url, interceptors: [authorized(authorization)] });
    const key = adminKeyIn(place.options.dataDir);
    const workflows = createClient(WorkflowService, as(`Bearer ${key}`));
    const tasks = createClient(TaskService, as(`Worker ${WORKER_KEY}`));
    expect((await workflows.listWorkflows({})).workflows).toEqual([]);
    expect((await tasks.claimTasks({ workerId: "w", capacity: 1, wait: {} })).leases).toEqual([]);
    const stale = tasks.heartbeat({ taskId: "nobody", attempt: 1 });
    expect(await codeOf(stale)).toBe(Code.NotFound);
    expect(await codeOf(tasks.claimTasks({ workerId: "", capacity: 0 }))).toBe(
      Code.InvalidArgument,
    );
  } finally {
    await control.close();
  }
});
