import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Action_State } from "@sluice/api/control/v1/action_pb";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import {
  ListLoadsRequestSchema,
  ReplayRejectsRequestSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import { ActionKind, Retry, Stage } from "@sluice/api/control/v1/failure_pb";
import { ArchiveSettings_Kind } from "@sluice/api/control/v1/file_settings_pb";
import { Task_Kind, Task_State, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
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

const OBJECTS = objectsOf("orders", "2026-03-02/a", "2026-03-01/b", "2026-03-01/a");
const UNAVAILABLE = { stage: Stage.LOAD, code: "unavailable", message: "no answer" };
const REFUSED = { stage: Stage.LOAD, code: "access_denied", message: "no grant" };
const CORRUPT = { stage: Stage.DECOMPRESS, code: "corrupt", message: "bad block" };

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

function feedNameOf(work: Lease["work"]): string | undefined {
  return work.case === "loadObject" || work.case === "publish" ? work.value.feed?.name : undefined;
}

function only(leases: readonly Lease[]): Lease {
  const [lease] = leases;
  if (lease === undefined || leases.length !== 1) throw new Error(`${leases.length} leases`);
  return lease;
}

/** Runs a courier and brings its list to its end. */
async function listed(house: House, courier: string, objects = OBJECTS): Promise<string> {
  const id = await house.run(courier);
  await doWell(house, only(await house.claim("lister")), objects);
  return id;
}

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`workflows kept by ${kind}`, { timeout: 30_000 }, () => {
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

    async function stateOf(house: House, id: string): Promise<Workflow_State> {
      return (await house.workflows.getWorkflow({ id })).workflow?.state ?? 0;
    }

    test("load every object into every feed, publish once for each, and say what was loaded", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders", totals: "orders" } });
      const id = await house.run(courier);
      const done = await doAll(house, OBJECTS);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, warnings: [] });
      expect(workflow?.totals).toMatchObject({
        rows: 60n,
        rejectedRows: 6n,
        bytesRead: 12_000_000n,
      });
      expect(done.map((lease) => lease.work.case)).toEqual([
        "list",
        ...Array.from({ length: 6 }, () => "loadObject"),
        "publish",
        "publish",
        "discard",
      ]);
      const ordinals = done.flatMap(({ work }) =>
        work.case === "loadObject"
          ? [[work.value.feed?.name, Number(work.value.object?.ordinal), work.value.object?.key]]
          : [],
      );
      for (const feed of ["lines", "totals"]) {
        expect(ordinals.filter(([name]) => name === feed)).toEqual([
          [feed, 1, "2026-03-01/a"],
          [feed, 2, "2026-03-01/b"],
          [feed, 3, "2026-03-02/a"],
        ]);
      }
      for (const { work } of done) {
        if (work.case !== "publish") continue;
        expect(work.value).toMatchObject({
          operation: LoadOperation.LOAD,
          sent: ["2026-03-01/a", "2026-03-01/b", "2026-03-02/a"].map((key) => ({ key, rows: 10n })),
        });
      }
      const { loads } = await house.engine.listLoads(
        create(ListLoadsRequestSchema, { feedId: "lines" }),
      );
      expect(loads).toMatchObject([{ workflowId: id, rows: 27n, rejectedRows: 3n }]);

      const second = await house.run(courier, { reloadUnchanged: true });
      const more = await doAll(house, OBJECTS.slice(0, 1));
      expect(await stateOf(house, second)).toBe(Workflow_State.SUCCEEDED);
      const next = more.flatMap(({ work }) =>
        work.case === "loadObject" ? [work.value.object?.ordinal] : [],
      );
      expect(next).toEqual([4n, 4n]);
    });

    test("give workers explicit settings and the credential's secrets, which no row keeps", async () => {
      await using house = openHouse(database);
      await house.run(await house.courier({ loads: { lines: "orders" } }));
      const { work } = only(await house.claim("w"));
      if (work.case !== "list") throw new Error("not a list");
      expect(work.value.connection?.access.value).toMatchObject({ secretAccessKey: "s3cret" });
      expect(work.value.dates).toEqual(["2026-03-01"]);
      expect(work.value.selections).toMatchObject([{ fileTag: "orders", optional: false }]);
      expect(work.value.feeds[0]?.spec).toMatchObject({
        errorThresholdPercent: 1,
        lastUpdated: { case: "generateLastUpdated" },
        fields: [{ name: "id", incomingName: "id", include: true }],
      });
      const rows = await database.kysely.selectFrom("workflow").selectAll().execute();
      expect(JSON.stringify(rows)).not.toContain("s3cret");
    });

    test("load an archive's entries into the feeds that name them, the file once for each feed", async () => {
      await using house = openHouse(database);
      const entry = (tag: string, credentialId?: string) => ({
        tag,
        selection: { case: "name" as const, value: `${tag}.csv` },
        settings: {
          format: { case: "delimited" as const, value: {} },
          ...(credentialId && { encryption: { case: "pgp" as const, value: { credentialId } } }),
        },
      });
      const entries = [entry("a"), entry("b", "inner-key"), entry("c")];
      const courier = await house.courier({
        loads: { lines: "a", totals: "archive" },
        settings: { archive: { archive: { kind: ArchiveSettings_Kind.ZIP, entries } } },
      });
      const id = await house.run(courier);
      const done = await doAll(house, objectsOf("archive", "2026-03-01/a.zip"));
      expect(await stateOf(house, id)).toBe(Workflow_State.SUCCEEDED);
      const loads = done.flatMap(({ work }) =>
        work.case === "loadObject"
          ? [[work.value.feed?.name, work.value.entryTags, Object.keys(work.value.pgpKeys)]]
          : [],
      );
      expect(loads.toSorted()).toEqual([
        ["lines", ["a"], ["inner-key"]],
        ["totals", [], ["inner-key"]],
      ]);
    });

    test("run an ingest query once, when all files that it reads are staged", async () => {
      await using house = openHouse(database);
      const id = await house.run(
        await house.courier({ loads: { joined: ["a", "b"], plain: "a" } }),
      );
      const found = [...objectsOf("a", "a-1", "a-2"), ...objectsOf("b", "b-1")];
      await doWell(house, only(await house.claim("w")), found);
      const files = await house.claim("w");
      const staging = files.filter(
        ({ work }) => work.case === "loadObject" && work.value.ingestQuery !== undefined,
      );
      expect(files.map(({ work }) => work.case)).toEqual(Array(5).fill("loadObject"));
      expect(staging).toHaveLength(3);
      const [last, ...others] = staging;
      if (last === undefined) throw new Error("no file is staged for the query");
      for (const lease of files) if (lease !== last) await doWell(house, lease);
      expect(others).toHaveLength(2);
      // Neither while the last file is at work, nor when it has to be tried again.
      expect(await house.claim("w")).toEqual([]);
      await house.tasks.failTask({
        taskId: last.taskId,
        attempt: last.attempt,
        failure: { stage: Stage.FETCH, code: "throttled" },
      });
      const again = only(await house.claim("w", { waitMs: 5_000 }));
      expect(again.taskId).toBe(last.taskId);
      await doWell(house, again);
      const query = only(await house.claim("w"));
      expect(query.work).toMatchObject({
        case: "ingestQuery",
        value: {
          query: { fileTags: ["a", "b"] },
          ordinal: 1n,
          sent: [
            { key: "a-1", rows: 10n },
            { key: "a-2", rows: 10n },
            { key: "b-1", rows: 10n },
          ],
        },
      });
      await doWell(house, query);
      const rest = await doAll(house);
      const publish = rest.find(
        ({ work }) => work.case === "publish" && work.value.feed?.name === "joined",
      );
      // Of the files nothing but what could not be read is among the feed's rows.
      expect(publish?.work.value).toMatchObject({
        sent: [
          { key: "a-1", rows: 1n },
          { key: "a-2", rows: 1n },
          { key: "b-1", rows: 1n },
          { key: "", rows: 10n },
        ],
      });
      expect(await stateOf(house, id)).toBe(Workflow_State.SUCCEEDED);
      const { loads } = await house.engine.listLoads(
        create(ListLoadsRequestSchema, { feedId: "joined" }),
      );
      expect(loads).toMatchObject([{ rows: 9n, rejectedRows: 4n }]);
    });

    test("replay a feed's rejects like any other load, of what came since the last truncate", async () => {
      await using house = openHouse(database);
      const truncating = await house.courier({
        loads: { lines: "orders" },
        operation: LoadOperation.TRUNCATE_AND_LOAD,
        spec: { makeAvailableToStitch: true },
      });
      await house.run(truncating);
      await doAll(house, OBJECTS);
      const second = await house.run(truncating, { reloadUnchanged: true });
      await doAll(house, OBJECTS);
      const request = create(ReplayRejectsRequestSchema, {
        feedId: "lines",
        workflowId: second,
        requestId: "once",
      });
      const { workflowId } = await house.engine.replayRejects(request);
      expect((await house.engine.replayRejects(request)).workflowId).toBe(workflowId);
      const list = only(await house.claim("w"));
      if (list.work.case !== "list") throw new Error("not a list");
      expect(list.work.value).toMatchObject({ replayRejects: true, selections: [] });
      await doWell(house, list, [
        { bucket: "", key: "", etag: "", size: 0n, date: "", fileTag: "rejects" },
      ]);
      const rest = await doAll(house);
      expect(rest.map(({ work }) => work.case)).toEqual(["replayRejects", "publish", "discard"]);
      const [replay, publish] = rest;
      // Three objects of the first run, so the second one's begin at four.
      const what = { workflowId: second, fromOrdinal: 4n };
      expect(replay?.work.value).toMatchObject(what);
      expect(publish?.work.value).toMatchObject({
        operation: LoadOperation.LOAD,
        replay: what,
        stitchFeeds: [{ name: "lines" }],
      });
      const { workflow } = await house.workflows.getWorkflow({ id: workflowId });
      expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
      expect(workflow?.tasks.map(({ kind }) => kind)).toContain(Task_Kind.REPLAY_REJECTS);
    });

    test("keep what a feed was when they began, and publish nothing for a feed without objects", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders", refunds: "refunds" } });
      const id = await house.run(courier, { skipMissingFiles: true });
      const done = await doAll(house, OBJECTS);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
      expect(workflow?.warnings).toEqual([
        "No file was found for shop.refunds: its domain table stays as it is.",
      ]);
      expect(done.filter(({ work }) => work.case === "publish")).toHaveLength(1);
    });

    test("go on with another worker, its attempt counted and its checkpoint kept, when one dies", async () => {
      await using house = openHouse(database, { leaseMs: 400 });
      await listed(house, await house.courier({ loads: { lines: "orders" } }), OBJECTS.slice(0, 1));
      const { taskId, attempt } = only(await house.claim("dies"));
      const checkpoint = { batches: 3n, rows: 30n, rejectedRows: 2n };
      await house.tasks.heartbeat({ taskId, attempt, progress: { checkpoint } });
      const again = only(await house.claim("lives", { waitMs: 20_000 }));
      expect(again).toMatchObject({
        taskId,
        attempt: 2,
        work: { value: { checkpoint } },
      });
      expect(await codeOf(house.tasks.heartbeat({ taskId, attempt }))).toBe(
        Code.FailedPrecondition,
      );
      await doWell(house, again);
      const rest = await doAll(house);
      expect(rest.map(({ work }) => work.case)).toEqual(["publish", "discard"]);
      const { workflows } = await house.workflows.listWorkflows({});
      const id = workflows[0]?.id ?? "";
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
      const task = workflow?.tasks.find((each) => each.id === taskId);
      expect(task?.attempts).toMatchObject([
        { number: 1, worker: "dies", failure: { code: "worker_lost", retry: Retry.AUTOMATIC } },
        { number: 2, worker: "lives" },
      ]);
    });

    test("begin a load anew whose bytes were not the object's: what was staged of them is removed first", async () => {
      await using house = openHouse(database);
      await listed(house, await house.courier({ loads: { lines: "orders" } }), OBJECTS.slice(0, 1));
      const { taskId, attempt } = only(await house.claim("w"));
      const checkpoint = { batches: 3n, rows: 30n, rejectedRows: 2n };
      const progress = { checkpoint, progress: { rows: 30n, rejectedRows: 2n } };
      await house.tasks.heartbeat({ taskId, attempt, progress });
      const code = "checksum_mismatch";
      const failure = { stage: Stage.FETCH, code, retry: Retry.AUTOMATIC, message: "other bytes" };
      await house.tasks.failTask({ taskId, attempt, failure, progress });
      const again = only(await house.claim("w", { waitMs: 20_000 }));
      expect(again).toMatchObject({
        taskId,
        attempt: 2,
        work: { value: { checkpoint: { batches: 0n, rows: 0n }, object: { generation: 1 } } },
      });
    });

    test("tell which workflows are over, and of none that may go on", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const over = await house.run(courier);
      await doWell(house, only(await house.claim("w")), []);
      const going = await house.run(courier);
      const ask = async (): Promise<string[]> => {
        const asked = { workflowIds: [going, over, "wf_of_somebody_else"] };
        return (await house.tasks.findEndedWorkflows(asked)).workflowIds;
      };
      expect(await ask()).toEqual([over]);
      const list = (await house.claim("w")).find(({ work }) => work.case === "list");
      if (list === undefined) throw new Error("there is no list");
      await house.tasks.failTask({ taskId: list.taskId, attempt: 1, failure: REFUSED });
      // It rests, and may be resumed.
      expect(await stateOf(house, going)).toBe(Workflow_State.FAILED);
      expect(await ask()).toEqual([over]);
      await house.workflows.cancelWorkflow({ id: going });
      expect((await ask()).sort()).toEqual([going, over].sort());
    });

    test("refuse every call of an attempt that is not the newest", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      await house.run(courier);
      const stale: Record<string, (taskId: string) => Promise<unknown>> = {
        heartbeat: (taskId) => house.tasks.heartbeat({ taskId, attempt: 0 }),
        failTask: (taskId) => house.tasks.failTask({ taskId, attempt: 0, failure: UNAVAILABLE }),
      };
      const refused = async (
        taskId: string,
        calls: Record<string, (taskId: string) => Promise<unknown>>,
      ): Promise<void> => {
        for (const [name, call] of Object.entries(calls)) {
          expect([name, await codeOf(call(taskId))]).toEqual([name, Code.FailedPrecondition]);
        }
      };
      const list = only(await house.claim("w"));
      await refused(list.taskId, {
        ...stale,
        appendManifest: (taskId) =>
          house.tasks.appendManifest({ taskId, attempt: 0, page: 0, objects: OBJECTS }),
        completeTask: (taskId) =>
          house.tasks.completeTask({ taskId, attempt: 0, result: { case: "list", value: {} } }),
      });
      await doWell(house, list, OBJECTS.slice(0, 1));
      await doWell(house, only(await house.claim("w")));
      const publish = only(await house.claim("w"));
      await refused(publish.taskId, {
        ...stale,
        recordPublishIntent: (taskId) =>
          house.tasks.recordPublishIntent({ taskId, attempt: 2, intent: { stagingUuid: "x" } }),
        completeTask: (taskId) =>
          house.tasks.completeTask({ taskId, attempt: 2, result: { case: "publish", value: {} } }),
      });
      await doWell(house, publish);
      expect(await codeOf(house.tasks.heartbeat({ taskId: publish.taskId, attempt: 1 }))).toBe(
        Code.FailedPrecondition,
      );
      expect(await codeOf(house.tasks.heartbeat({ taskId: "nobody", attempt: 1 }))).toBe(
        Code.NotFound,
      );
    });

    test("take no listing while a feed that has something to load has no staging tables", async () => {
      await using house = openHouse(database);
      const id = await house.run(
        await house.courier({ loads: { lines: "orders" }, operation: LoadOperation.LOAD }),
      );
      const { taskId, attempt } = only(await house.claim("w"));
      await house.tasks.appendManifest({ taskId, attempt, page: 0, objects: OBJECTS });
      const complete = async (feedIds?: string[]): Promise<readonly string[]> => {
        const staged = feedIds === undefined ? {} : { staged: { feedIds } };
        const value = { objects: 3n, ...staged };
        const result = { case: "list", value } as const;
        const answer = await house.tasks.completeTask({ taskId, attempt, result });
        return answer.feedIdsWithoutStaging;
      };
      const lacking = await complete([]);
      expect(lacking).toHaveLength(1);
      expect(await complete(["feed_other"])).toEqual(lacking);
      const before = await house.workflows.getWorkflow({ id });
      expect(before.workflow?.tasks).toHaveLength(1);
      expect(await house.claim("w")).toEqual([]);
      expect(await complete([...lacking])).toEqual([]);
      expect(await complete([])).toEqual([]);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.tasks).toHaveLength(4);
    });

    test("take a repeated page, completion, failure and intent once", async () => {
      await using house = openHouse(database);
      const id = await house.run(await house.courier({ loads: { lines: "orders" } }));
      const { taskId, attempt } = only(await house.claim("w"));
      const page = { taskId, attempt, page: 0, objects: OBJECTS };
      await house.tasks.appendManifest(page);
      await house.tasks.appendManifest(page);
      const complete = (objects: bigint): Promise<unknown> =>
        house.tasks.completeTask({
          taskId,
          attempt,
          result: { case: "list", value: { objects } },
        });
      expect(await codeOf(complete(6n))).toBe(Code.InvalidArgument);
      await complete(3n);
      await complete(3n);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.tasks).toHaveLength(4);
      const [failing, ...others] = await house.claim("w");
      if (failing === undefined) throw new Error("nothing to fail");
      const fail = { taskId: failing.taskId, attempt: 1, failure: UNAVAILABLE };
      expect(await house.tasks.failTask(fail)).toMatchObject({ willRetry: true });
      expect(await house.tasks.failTask(fail)).toMatchObject({ willRetry: true });
      for (const lease of others) await doWell(house, lease);
      await doWell(house, only(await house.claim("w", { waitMs: 20_000 })));
      const publish = only(await house.claim("w"));
      const intend = (
        stagingUuid: string,
      ): Promise<{ intent?: { stagingUuid: string } | undefined }> =>
        house.tasks.recordPublishIntent({
          taskId: publish.taskId,
          attempt: 1,
          intent: { stagingUuid, rowsUuid: "r" },
        });
      expect((await intend("first")).intent?.stagingUuid).toBe("first");
      expect((await intend("second")).intent?.stagingUuid).toBe("first");
      await house.tasks.failTask({ taskId: publish.taskId, attempt: 1, failure: UNAVAILABLE });
      const again = only(await house.claim("w", { waitMs: 20_000 }));
      expect(again.work.value).toMatchObject({ intent: { stagingUuid: "first", rowsUuid: "r" } });
    });

    test("repeat what may help with growing pauses, and fail with advice when it never does", async () => {
      await using house = openHouse(database, { retry: { firstDelayMs: 20, maxAttempts: 3 } });
      const courier = await house.courier({ loads: { lines: "orders" } });
      const id = await listed(house, courier, OBJECTS.slice(0, 1));
      const answers: boolean[] = [];
      for (let attempt = 1; attempt <= 3; attempt++) {
        const lease = only(await house.claim("w", { waitMs: 20_000 }));
        expect(lease.attempt).toBe(attempt);
        const { willRetry } = await house.tasks.failTask({
          taskId: lease.taskId,
          attempt,
          failure: UNAVAILABLE,
        });
        answers.push(willRetry);
      }
      expect(answers).toEqual([true, true, false]);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow).toMatchObject({
        state: Workflow_State.FAILED,
        failure: {
          code: "unavailable",
          retry: Retry.AUTOMATIC,
          action: ActionKind.RETRY,
          advice: "ClickHouse does not answer. It is tried again by itself.",
        },
      });
      const attempts = await database.kysely
        .selectFrom("attempt")
        .innerJoin("task", "task.id", "attempt.task_id")
        .select(["start_time", "attempt.end_time"])
        .where("task.workflow_id", "=", id)
        .where("task.kind", "=", "load")
        .orderBy("attempt.number")
        .execute();
      const pauses = attempts.slice(1).map((attempt, index) => {
        return attempt.start_time.getTime() - (attempts[index]?.end_time?.getTime() ?? 0);
      });
      expect(pauses[0]).toBeGreaterThanOrEqual(19);
      expect(pauses[1]).toBeGreaterThanOrEqual(39);
    });

    test("stop everything else after a failure of everybody's, and keep what was staged until given up", async () => {
      await using house = openHouse(database);
      const id = await listed(house, await house.courier({ loads: { lines: "orders" } }));
      const [first, second] = await house.claim("w", { capacity: 2 });
      if (first === undefined || second === undefined) throw new Error("two loads are needed");
      const { willRetry } = await house.tasks.failTask({
        taskId: first.taskId,
        attempt: 1,
        failure: REFUSED,
      });
      expect(willRetry).toBe(false);
      expect(await house.claim("w")).toEqual([]);
      const during = (await house.workflows.getWorkflow({ id })).workflow;
      expect(during).toMatchObject({
        state: Workflow_State.RUNNING_WITH_FAILURES,
        failure: { code: "access_denied", action: ActionKind.RETRY },
      });
      const { taskId, attempt } = second;
      expect(await house.tasks.heartbeat({ taskId, attempt })).toMatchObject({ stop: true });
      await house.tasks.failTask({ taskId, attempt, failure: UNAVAILABLE });
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.FAILED);
      expect(workflow?.tasks.map(({ kind, state }) => [kind, state])).toEqual([
        [Task_Kind.LIST, Task_State.SUCCEEDED],
        [Task_Kind.LOAD_OBJECT, Task_State.FAILED],
        [Task_Kind.LOAD_OBJECT, Task_State.CANCELED],
        [Task_Kind.LOAD_OBJECT, Task_State.CANCELED],
      ]);
      expect(workflow?.resumableUntil).toBeDefined();
      expect(await house.claim("w")).toEqual([]);
      await house.workflows.cancelWorkflow({ id });
      expect(await stateOf(house, id)).toBe(Workflow_State.FAILED);
      const { actions } = await house.workflows.listActions({ workflowId: id });
      expect(actions.map(({ state }) => state)).toEqual([Action_State.STALE]);
      const rest = await doAll(house);
      expect(rest.map(({ work }) => work.case)).toEqual(["discard"]);
      expect(
        (await house.engine.listLoads(create(ListLoadsRequestSchema, { feedId: "lines" }))).loads,
      ).toEqual([]);
    });

    test("load the other objects when one fails for itself, and go on from there when it is resolved", async () => {
      await using house = openHouse(database);
      const id = await listed(house, await house.courier({ loads: { lines: "orders" } }));
      const [first, ...others] = await house.claim("w");
      if (first === undefined) throw new Error("a load is needed");
      const { taskId } = first;
      await house.tasks.failTask({ taskId, attempt: 1, failure: CORRUPT });
      expect(await stateOf(house, id)).toBe(Workflow_State.RUNNING_WITH_FAILURES);
      for (const lease of others) await doWell(house, lease);
      expect(await stateOf(house, id)).toBe(Workflow_State.FAILED);
      expect(await doAll(house)).toEqual([]);

      const { actions } = await house.workflows.listActions({});
      expect(actions).toMatchObject([
        { workflowId: id, taskId, kind: ActionKind.BAD_ARCHIVE, state: Action_State.OPEN },
      ]);
      const [action] = actions;
      const resolutionId = "retry_task";
      const stale = house.workflows.resolveAction({
        id: action?.id ?? "",
        resolutionId,
        etag: "x",
      });
      expect(await codeOf(stale)).toBe(Code.FailedPrecondition);
      const request = { id: action?.id ?? "", resolutionId, etag: action?.etag ?? "" };
      const answers = [
        await house.workflows.resolveAction({ ...request, requestId: "once" }),
        await house.workflows.resolveAction({ ...request, requestId: "once" }),
      ];
      for (const answer of answers) {
        expect(answer).toMatchObject({ workflowId: id, action: { state: Action_State.RESOLVED } });
      }
      expect(await codeOf(house.workflows.resolveAction(request))).toBe(Code.FailedPrecondition);
      expect((await house.workflows.listActions({})).actions).toEqual([]);

      const done = await doAll(house);
      expect(done.map(({ work }) => work.case)).toEqual(["loadObject", "publish", "discard"]);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 30n } });
      expect(workflow?.failure).toBeUndefined();
    });

    test("forget failures that nobody resolved in time, and what they kept", async () => {
      await using house = openHouse(database, { keepFailedMs: 50, leaseMs: 400 });
      const id = await listed(house, await house.courier({ loads: { lines: "orders" } }));
      for (const { taskId } of await house.claim("w")) {
        await house.tasks.failTask({ taskId, attempt: 1, failure: CORRUPT });
      }
      const discard = only(await house.claim("w", { waitMs: 20_000 }));
      expect(discard.work.case).toBe("discard");
      const { actions } = await house.workflows.listActions({ workflowId: id });
      expect(actions.map(({ state, resolutions }) => [state, resolutions])).toEqual(
        actions.map(() => [Action_State.STALE, []]),
      );
      expect(actions).toHaveLength(3);
      const retrying = house.workflows.retryTask({ taskId: actions[0]?.taskId ?? "" });
      expect(await codeOf(retrying)).toBe(Code.FailedPrecondition);
    });

    test("go on without a file, without a feed, and publish whole feeds first", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders", totals: "orders" } });
      const resolveWith = async (id: string, resolutionId: string): Promise<void> => {
        const { actions } = await house.workflows.listActions({ workflowId: id });
        const action = actions.find(({ state }) => state === Action_State.OPEN);
        await house.workflows.resolveAction({ id: action?.id ?? "", resolutionId });
      };
      let runs = 0;
      const failFirst = async (): Promise<string> => {
        // Files of each run's own: unchanged ones would be passed over.
        runs++;
        const keys = ["a", "b", "c"].map((name) => `2026-03-01/${runs}-${name}`);
        const id = await listed(house, courier, objectsOf("orders", ...keys));
        const leases = await house.claim("w");
        const first = leases.find(({ work }) => feedNameOf(work) === "lines");
        for (const lease of leases) {
          const { taskId } = lease;
          if (lease === first) await house.tasks.failTask({ taskId, attempt: 1, failure: CORRUPT });
          else await doWell(house, lease);
        }
        expect(await stateOf(house, id)).toBe(Workflow_State.FAILED);
        return id;
      };

      const skipped = await failFirst();
      await resolveWith(skipped, "skip_task");
      const left = only(await house.claim("w"));
      expect(left.work.value).toMatchObject({ skip: true, object: { generation: 1 } });
      await house.tasks.completeTask({
        taskId: left.taskId,
        attempt: left.attempt,
        result: { case: "loadObject", value: { route: "left out" } },
      });
      await doAll(house);
      const { workflow } = await house.workflows.getWorkflow({ id: skipped });
      expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
      expect(workflow?.tasks.map(({ state }) => state)).toContain(Task_State.SKIPPED);
      expect(workflow?.totals?.rows).toBe(50n);

      const excluded = await failFirst();
      await resolveWith(excluded, "exclude_feeds");
      const rest = await doAll(house);
      expect(rest.map(({ work }) => feedNameOf(work))).toEqual(["totals", undefined]);
      expect(await stateOf(house, excluded)).toBe(Workflow_State.SUCCEEDED);

      const apart = await failFirst();
      await resolveWith(apart, "retry_failed_feeds");
      const [publish, load] = await house.claim("w", { capacity: 2 });
      expect([publish?.work.case, load?.work.case]).toEqual(["publish", "loadObject"]);
      if (publish === undefined || load === undefined) throw new Error("both are needed");
      await doWell(house, publish);
      await house.tasks.failTask({ taskId: load.taskId, attempt: 2, failure: CORRUPT });
      expect(await stateOf(house, apart)).toBe(Workflow_State.FAILED);
      await resolveWith(apart, "retry_task");
      expect((await doAll(house)).map(({ work }) => work.case)).toEqual([
        "loadObject",
        "publish",
        "discard",
      ]);
      expect(await stateOf(house, apart)).toBe(Workflow_State.SUCCEEDED);
    });

    test("stop when they are canceled, even if the worker says nothing more", async () => {
      await using house = openHouse(database, { leaseMs: 400 });
      const id = await listed(house, await house.courier({ loads: { lines: "orders" } }));
      const { taskId, attempt } = only(await house.claim("silent", { capacity: 1 }));
      const { workflow } = await house.workflows.cancelWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.STOPPING);
      await house.workflows.cancelWorkflow({ id });
      expect(await house.tasks.heartbeat({ taskId, attempt })).toMatchObject({ stop: true });
      const discard = only(await house.claim("w", { waitMs: 20_000 }));
      expect(discard.work.case).toBe("discard");
      expect(await stateOf(house, id)).toBe(Workflow_State.STOPPED);
    });

    test("wait for the outcome of a publish that runs when they are canceled", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders", totals: "orders" } });
      const id = await listed(house, courier, OBJECTS.slice(0, 1));
      for (const lease of await house.claim("w")) await doWell(house, lease);
      const publish = only(await house.claim("w", { capacity: 1 }));
      await house.workflows.cancelWorkflow({ id });
      const { taskId, attempt } = publish;
      expect(await house.tasks.heartbeat({ taskId, attempt })).toMatchObject({ stop: false });
      expect(await stateOf(house, id)).toBe(Workflow_State.STOPPING);
      await doWell(house, publish);
      expect(await stateOf(house, id)).toBe(Workflow_State.STOPPED);
      const loads = await database.kysely
        .selectFrom("load_record")
        .select("workflow_id")
        .where("workflow_id", "=", id)
        .execute();
      expect(loads).toHaveLength(1);
    });

    test("still find out how a publish ended whose attempt failed before they were canceled", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const id = await listed(house, courier, OBJECTS.slice(0, 1));
      await doWell(house, only(await house.claim("w")));
      const { taskId } = only(await house.claim("w"));
      await house.tasks.failTask({ taskId, attempt: 1, failure: UNAVAILABLE });
      const { workflow } = await house.workflows.cancelWorkflow({ id });
      expect(workflow?.state).toBe(Workflow_State.STOPPING);
      const again = only(await house.claim("w", { waitMs: 20_000 }));
      expect(again).toMatchObject({ taskId, attempt: 2 });
      await doWell(house, again);
      expect(await stateOf(house, id)).toBe(Workflow_State.SUCCEEDED);
    });

    test("publish one at a time into a feed, also when the first attempt's outcome is unknown", async () => {
      await using house = openHouse(database);
      const operation = LoadOperation.TRUNCATE_AND_LOAD;
      const courier = await house.courier({ loads: { lines: "orders" }, operation });
      await house.run(courier);
      await house.run(courier);
      for (const list of await house.claim("w")) await doWell(house, list, OBJECTS.slice(0, 1));
      const loads = await house.claim("w");
      expect(loads).toHaveLength(2);
      for (const load of loads) await doWell(house, load);
      const first = only(await house.claim("w"));
      expect(first.work.case).toBe("publish");
      expect(await house.claim("x")).toEqual([]);
      const { taskId } = first;
      await house.tasks.failTask({ taskId, attempt: 1, failure: UNAVAILABLE });
      const again = only(await house.claim("x", { waitMs: 20_000 }));
      expect(again).toMatchObject({ taskId, attempt: 2 });
      await doWell(house, again);
      const next = [...(await house.claim("x")), ...(await house.claim("x"))];
      expect(next.map(({ work }) => work.case).sort()).toEqual(["discard", "publish"]);
      expect(next.map((lease) => lease.taskId)).not.toContain(taskId);
    });
  });
}
