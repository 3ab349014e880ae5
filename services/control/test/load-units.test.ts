import { Code, ConnectError } from "@connectrpc/connect";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { Task_Kind, Task_State, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import type { Lease, UnitTask } from "@sluice/api/ingest/v1/task_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
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

const KEYS = ["a", "b", "c", "d"];
const SMALL = objectsOf("orders", ...KEYS).map((object) => ({ ...object, size: 100n }));
const CORRUPT = { stage: Stage.DECOMPRESS, code: "corrupt", message: "bad block" };
const UNAVAILABLE = { stage: Stage.LOAD, code: "unavailable", message: "no answer" };
const REFUSED = { stage: Stage.LOAD, code: "rejected", message: "no such type" };

function unitOf(leases: readonly Lease[]): { lease: Lease; tasks: readonly UnitTask[] } {
  const [lease] = leases;
  if (leases.length !== 1 || lease?.work.case !== "loadUnit") {
    throw new Error(`${leases.length} leases, the first of ${lease?.work.case}`);
  }
  return { lease, tasks: lease.work.value.tasks };
}

const keysOf = (tasks: readonly UnitTask[]): (string | undefined)[] =>
  tasks.map(({ object }) => object?.key);

async function complete(
  house: House,
  { taskId, attempt }: { readonly taskId: string; readonly attempt: number },
  tasks: readonly UnitTask[],
): Promise<unknown> {
  const results = tasks.map((task, at) => ({
    taskId: task.taskId,
    result: { checkpoint: { batches: 1n, rows: BigInt(at + 1), rejectedRows: 0n }, route: "text" },
  }));
  return await house.tasks.completeTask({
    taskId,
    attempt,
    result: { case: "loadUnit", value: { tasks: results } },
  });
}

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`small objects with ${kind}`, { timeout: 30_000 }, () => {
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

    /** Begins a workflow and brings its list to its end. */
    async function listed(house: House, objects = SMALL): Promise<string> {
      const courier = await house.courier({ loads: { lines: "orders" } });
      const id = await house.run(courier);
      const [list] = await house.claim("lister");
      if (list === undefined) throw new Error("nothing to list");
      await doWell(house, list, objects);
      return id;
    }

    async function loadsOf(house: House, id: string) {
      const { workflow } = await house.workflows.getWorkflow({ id });
      const loads = workflow?.tasks.filter((task) => task.kind === Task_Kind.LOAD_OBJECT) ?? [];
      return loads.map(({ key, state, progress, attempts }) => ({
        key,
        state,
        rows: Number(progress?.rows ?? 0n),
        attempts: attempts.length,
      }));
    }

    test("are leased and completed together, and large ones by themselves", async () => {
      await using house = openHouse(database);
      const large = objectsOf("orders", "bb");
      const id = await listed(house, [...SMALL, ...large]);
      const leases = await house.claim("w");
      const { lease, tasks } = unitOf(leases.filter(({ work }) => work.case === "loadUnit"));
      expect(keysOf(tasks)).toEqual(KEYS);
      expect(tasks.map(({ object }) => Number(object?.ordinal))).toEqual([1, 2, 4, 5]);
      expect(leases.filter(({ work }) => work.case === "loadObject")).toHaveLength(1);
      await expect(complete(house, lease, tasks.slice(1))).rejects.toThrow(ConnectError);
      await complete(house, lease, tasks);
      await complete(house, lease, tasks);
      expect((await loadsOf(house, id)).filter(({ key }) => key !== "bb")).toEqual(
        KEYS.map((key, at) => ({ key, state: Task_State.SUCCEEDED, rows: at + 1, attempts: 1 })),
      );
      for (const other of leases) if (other !== lease) await doWell(house, other);
      const rest = await doAll(house);
      expect(rest.map(({ work }) => work.case)).toEqual(["publish", "discard"]);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
      expect(workflow?.totals).toMatchObject({ rows: 20n, bytesRead: 2_000_400n });
    });

    test("are put together by size and number, and by nothing else", async () => {
      await using house = openHouse(database);
      const many = objectsOf(
        "orders",
        ...Array.from({ length: 1_100 }, (_, at) => `k${10_000 + at}`),
      );
      await listed(
        house,
        many.map((object) => ({ ...object, size: 10n })),
      );
      const leases = await house.claim("w", { capacity: 10 });
      expect(
        leases.map(({ work }) => (work.case === "loadUnit" ? work.value.tasks.length : 0)),
      ).toEqual([256, 256, 256, 256, 76]);
    });

    test("stay together when one fails by itself in the first attempt, whichever", async () => {
      await using house = openHouse(database);
      const id = await listed(house);
      const { tasks } = unitOf(await house.claim("w"));
      const [bad, first, ...others] = tasks;
      if (bad === undefined || first === undefined) throw new Error("too few");
      const { taskId, attempt } = bad;
      const failed = await house.tasks.failTask({ taskId, attempt, failure: CORRUPT, alone: true });
      expect(failed.willRetry).toBe(false);
      await house.tasks.heartbeat({ taskId: first.taskId, attempt: 1 });
      await complete(house, first, [first, ...others]);
      expect(await loadsOf(house, id)).toMatchObject([
        { key: "a", state: Task_State.FAILED },
        { key: "b", state: Task_State.SUCCEEDED },
        { key: "c", state: Task_State.SUCCEEDED },
        { key: "d", state: Task_State.SUCCEEDED },
      ]);
      expect((await house.workflows.listActions({ workflowId: id })).actions).toHaveLength(1);
    });

    test("are tried again together when their worker is lost, and are given up once one fails then", async () => {
      await using house = openHouse(database, { leaseMs: 300 });
      const id = await listed(house);
      const before = unitOf(await house.claim("dies"));
      const { lease, tasks } = unitOf(await house.claim("lives", { waitMs: 20_000 }));
      expect(keysOf(tasks)).toEqual(keysOf(before.tasks));
      expect(lease).toMatchObject({ taskId: before.lease.taskId, attempt: 2 });
      const { taskId = "", attempt = 0 } = tasks[1] ?? {};
      await house.tasks.failTask({ taskId, attempt, failure: CORRUPT, alone: true });
      await expect(complete(house, lease, tasks)).rejects.toMatchObject({
        code: Code.FailedPrecondition,
      });
      const alone = await house.claim("w", { capacity: 10 });
      // What was sent together may be staged: each is removed before it comes again.
      expect(
        alone.map(({ work }) =>
          work.case === "loadObject"
            ? [work.value.object?.key, work.value.object?.generation]
            : [work.case],
        ),
      ).toEqual([
        ["a", 1],
        ["c", 1],
        ["d", 1],
      ]);
      for (const each of alone) await doWell(house, each);
      expect((await loadsOf(house, id)).map(({ key, state }) => [key, state])).toEqual([
        ["a", Task_State.SUCCEEDED],
        ["b", Task_State.FAILED],
        ["c", Task_State.SUCCEEDED],
        ["d", Task_State.SUCCEEDED],
      ]);
    });

    test("are tried again together after what may pass, and one by one after what will not", async () => {
      await using house = openHouse(database, { retry: { firstDelayMs: 20 } });
      await listed(house);
      const { lease } = unitOf(await house.claim("w"));
      const { taskId } = lease;
      await house.tasks.failTask({ taskId, attempt: 1, failure: UNAVAILABLE });
      const again = unitOf(await house.claim("w", { waitMs: 20_000 }));
      expect(keysOf(again.tasks)).toEqual(KEYS);
      await house.tasks.failTask({ taskId, attempt: 2, failure: REFUSED });
      const alone = await house.claim("w", { capacity: 10 });
      expect(alone.map(({ work }) => work.case)).toEqual(KEYS.map(() => "loadObject"));
    });

    test("are all canceled when the workflow is", async () => {
      await using house = openHouse(database);
      const id = await listed(house);
      const { lease } = unitOf(await house.claim("w"));
      const { taskId, attempt } = lease;
      await house.workflows.cancelWorkflow({ id });
      expect((await house.tasks.heartbeat({ taskId, attempt })).stop).toBe(true);
      await house.tasks.failTask({ taskId, attempt, failure: UNAVAILABLE });
      expect((await loadsOf(house, id)).map(({ state }) => state)).toEqual(
        KEYS.map(() => Task_State.CANCELED),
      );
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.STOPPED);
    });
  });
}
