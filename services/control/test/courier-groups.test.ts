import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ReplayRejectsRequestSchema } from "@sluice/api/control/v1/domain_table_service_pb";
import { Stage, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import {
  GroupRunMember_State as Member,
  GroupRun_State as Run,
} from "@sluice/api/control/v1/group_run_pb";
import { Notification_Kind as Kind } from "@sluice/api/control/v1/notification_pb";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { openGroups } from "./group-house.ts";
import {
  doAll,
  doWell,
  type House,
  hasPostgres,
  makeStatePlace,
  objectsOf,
  type StatePlace,
} from "./workflow-house.ts";

const DAILY = { cron: "0 6 * * *", timeZone: "Europe/Berlin", active: true };

async function missFiles(house: House, { taskId, attempt }: Lease): Promise<boolean> {
  const failure = create(StageFailureSchema, {
    stage: Stage.LIST,
    code: "file_not_found",
    message: "no object matches orders",
  });
  return (await house.tasks.failTask({ taskId, attempt, failure })).willRetry;
}

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`courier groups on ${kind}`, { timeout: 60_000 }, () => {
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

    test("fire once, however many replicas look, and of several missed fires the latest", async () => {
      await using at = await openGroups(database);
      const courierId = await at.house.courier({ loads: { lines: "orders" } });
      const group = await at.make({ schedule: DAILY, members: [{ courierId }] });
      expect(Number(group.nextFireTime?.seconds)).toBeGreaterThan(Date.now() / 1000);
      await at.round();
      expect((await at.groups.listCourierGroupRuns({})).groupRuns).toEqual([]);

      await at.backdate(group.id, "2026-03-27T05:00:00Z", "2026-03-26T05:00:00Z");
      await Promise.all([at.round(), at.round(), at.round(), at.round()]);
      await at.round();
      const { groupRuns } = await at.groups.listCourierGroupRuns({ groupId: group.id });
      expect(groupRuns).toHaveLength(1);
      const [run] = groupRuns;
      const fired = Number(run?.fireTime?.seconds) * 1000;
      expect(Date.now() - fired).toBeLessThan(25 * 3_600_000);
      // Every day since the last run: none is lost by the downtime.
      expect(run?.members).toMatchObject([{ courierId, startDate: "2026-03-27" }]);
      const next = (await at.groups.getCourierGroup({ id: group.id })).courierGroup?.nextFireTime;
      expect(Number(next?.seconds)).toBeGreaterThan(Date.now() / 1000);
      expect((await at.house.workflows.listWorkflows({})).workflows).toMatchObject([
        { courierId, groupRunId: run?.id, startDate: "2026-03-27" },
      ]);
    });

    test("run once for a request id, also when asked twice at once", async () => {
      await using at = await openGroups(database);
      const courierId = await at.house.courier({ loads: { lines: "orders" } });
      const { id } = await at.make({ members: [{ courierId, offset: { seconds: 172_800n } }] });
      const scope = { case: "date", value: "2026-03-03" } as const;
      const ask = { id, requestId: "again", scope };
      const [first, second] = await Promise.all([
        at.groups.runCourierGroup(ask),
        at.groups.runCourierGroup(ask),
      ]);
      expect(first.groupRun?.id).toBe(second.groupRun?.id);
      expect(first.groupRun?.members).toMatchObject([
        { startDate: "2026-03-01", endDate: "2026-03-02", state: Member.RUNNING },
      ]);
      expect((await at.house.workflows.listWorkflows({})).workflows).toHaveLength(1);
    });

    test("run couriers side by side, and start the others when one can't be", async () => {
      await using at = await openGroups(database);
      const a = await at.house.courier({ loads: { lines: "orders" } });
      const b = await at.house.courier({ loads: { people: "people" } });
      const broken = await at.house.courier({ loads: { idle: "idle" } });
      await sql`update feed set version = 0, draft = '{}' where tenant = ${at.house.tenant} and id = 'idle'`.execute(
        database.kysely,
      );
      const { id } = await at.make({
        members: [{ courierId: a }, { courierId: broken }, { courierId: b }],
      });
      const { groupRun } = await at.groups.runCourierGroup({ id });
      const runId = groupRun?.id ?? "";
      expect(groupRun?.state).toBe(Run.RUNNING_WITH_FAILURES);
      const leases = await at.house.claim("worker");
      expect(leases.map((lease) => lease.work.case)).toEqual(["list", "list"]);
      for (const lease of leases) await doWell(at.house, lease);
      await doAll(at.house);
      const run = await at.run(runId);
      expect(run.state).toBe(Run.FAILED);
      expect(run.endTime).toBeDefined();
      expect(run.members.map(({ state }) => state)).toEqual([
        Member.SUCCEEDED,
        Member.NOT_STARTED,
        Member.SUCCEEDED,
      ]);
      expect(run.members[1]?.problem).toMatch(/not active/);
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications).toMatchObject([
        { kind: Kind.WORKFLOW_FAILED, courierId: broken, groupRunId: runId, groupId: id },
      ]);
    });

    test("look for files until the wait is over, then go on without the courier", async () => {
      await using at = await openGroups(database);
      const late = await at.house.courier({ loads: { lines: "orders" } });
      const { id } = await at.make({
        members: [{ courierId: late, wait: { seconds: 600n }, notifyWhenMissing: true }],
      });
      const runId = (await at.groups.runCourierGroup({ id })).groupRun?.id ?? "";
      const look = async (): Promise<boolean> => {
        const [lease] = await at.house.claim("worker", { waitMs: 10_000 });
        if (lease?.work.case !== "list") throw new Error("the list was not offered again");
        return await missFiles(at.house, lease);
      };
      // More looks than a task has attempts.
      for (let looks = 0; looks < 10; looks++) {
        expect(await look()).toBe(true);
        expect((await at.run(runId)).members[0]?.state).toBe(Member.WAITING_FOR_FILES);
      }
      await database.kysely
        .updateTable("workflow")
        .set({ files_wait_until: new Date() })
        .where("tenant", "=", at.house.tenant)
        .execute();
      expect(await look()).toBe(false);
      const run = await at.run(runId);
      expect(run.members[0]?.state).toBe(Member.MISSING_FILES);
      expect(run.state).toBe(Run.SUCCEEDED);
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications).toMatchObject([
        {
          kind: Kind.MISSING_FILE,
          courierId: late,
          workflowId: run.members[0]?.workflowId,
          failure: { code: "file_not_found" },
          sources: ["shop"],
        },
      ]);
    });

    test("load the files that come while they wait", async () => {
      await using at = await openGroups(database);
      const late = await at.house.courier({ loads: { lines: "orders" } });
      const { id } = await at.make({ members: [{ courierId: late, wait: { seconds: 600n } }] });
      const runId = (await at.groups.runCourierGroup({ id })).groupRun?.id ?? "";
      const [first] = await at.house.claim("worker");
      if (first === undefined) throw new Error("no list was offered");
      expect(await missFiles(at.house, first)).toBe(true);
      const [second] = await at.house.claim("worker", { waitMs: 5_000 });
      if (second === undefined) throw new Error("the list was not offered again");
      await doWell(at.house, second, objectsOf("orders", "a"));
      await doAll(at.house);
      expect(await at.run(runId)).toMatchObject({
        state: Run.SUCCEEDED,
        members: [{ state: Member.SUCCEEDED }],
      });
      expect((await at.notifications.listNotifications({})).notifications).toEqual([]);
    });

    test("stop the other couriers when files are missing without which they stop", async () => {
      await using at = await openGroups(database);
      const needed = await at.house.courier({ loads: { lines: "orders" } });
      const other = await at.house.courier({ loads: { people: "people" } });
      const { id } = await at.make({
        members: [{ courierId: needed, stopWhenMissing: true }, { courierId: other }],
      });
      const runId = (await at.groups.runCourierGroup({ id })).groupRun?.id ?? "";
      const workflowIds = (await at.run(runId)).members.map(({ workflowId }) => workflowId);
      const leases = await at.house.claim("worker");
      const [missing, list] = workflowIds.map((id) =>
        leases.find((each) => each.workflowId === id),
      );
      if (missing === undefined || list === undefined) throw new Error("a list was not offered");
      expect(await missFiles(at.house, missing)).toBe(false);
      expect((await at.run(runId)).state).toBe(Run.RUNNING_WITH_FAILURES);
      await at.round();
      expect((await at.run(runId)).state).toBe(Run.STOPPING);
      const told = await at.house.tasks.heartbeat({ taskId: list.taskId, attempt: list.attempt });
      expect(told.stop).toBe(true);
      const failure = create(StageFailureSchema, { stage: Stage.LIST, code: "source_unavailable" });
      await at.house.tasks.failTask({ taskId: list.taskId, attempt: list.attempt, failure });
      await at.round();
      const run = await at.run(runId);
      expect(run.state).toBe(Run.FAILED);
      expect(run.members.map(({ state }) => state)).toEqual([Member.MISSING_FILES, Member.STOPPED]);
      // Told once, of what was missing; nobody stopped anything by hand.
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications.map((each) => each.kind)).toEqual([Kind.MISSING_FILE]);
    });

    test("stop when they are canceled, and tell it once", async () => {
      await using at = await openGroups(database);
      const a = await at.house.courier({ loads: { lines: "orders" } });
      const b = await at.house.courier({ loads: { people: "people" } });
      const { id } = await at.make({ members: [{ courierId: a }, { courierId: b }] });
      const runId = (await at.groups.runCourierGroup({ id })).groupRun?.id ?? "";
      await at.groups.cancelCourierGroupRun({ id: runId });
      const { groupRun } = await at.groups.cancelCourierGroupRun({ id: runId });
      expect(groupRun).toMatchObject({
        state: Run.STOPPED,
        members: [{ state: Member.STOPPED }, { state: Member.STOPPED }],
      });
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications).toMatchObject([{ kind: Kind.STOPPED, groupRunId: runId }]);
      expect(notifications).toHaveLength(1);
    });

    test("tell once of a run that takes too long", async () => {
      await using at = await openGroups(database);
      const courierId = await at.house.courier({ loads: { lines: "orders" } });
      const { id } = await at.make({
        members: [{ courierId }],
        runtimeAlert: { seconds: 0n, nanos: 1_000_000 },
      });
      const runId = (await at.groups.runCourierGroup({ id })).groupRun?.id ?? "";
      await Promise.all([at.round(), at.round()]);
      await at.round();
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications).toMatchObject([{ kind: Kind.RUNTIME_EXCEEDED, groupRunId: runId }]);
      expect(notifications).toHaveLength(1);
    });

    test("are kept by etag, name the field that is wrong, and pause and resume", async () => {
      await using at = await openGroups(database);
      const courierId = await at.house.courier({ loads: { lines: "orders" } });
      const group = await at.make({ schedule: DAILY, members: [{ courierId }] });
      const refused = async (call: Promise<unknown>): Promise<string> =>
        await call.then(
          () => "nothing",
          (error: unknown) =>
            `${Code[ConnectError.from(error).code]}: ${ConnectError.from(error).rawMessage}`,
        );
      const { courierGroup: paused } = await at.groups.pauseCourierGroup({
        id: group.id,
        etag: group.etag,
      });
      expect(paused?.nextFireTime).toBeUndefined();
      expect(paused?.schedule?.active).toBe(false);
      const update = {
        courierGroup: { id: group.id, etag: group.etag, onlyPastDay: true },
        updateMask: { paths: ["only_past_day"] },
      };
      expect(await refused(at.groups.updateCourierGroup(update))).toMatch(/^Aborted: etag/);
      const { courierGroup: resumed } = await at.groups.resumeCourierGroup({ id: group.id });
      expect(resumed?.nextFireTime).toEqual(group.nextFireTime);
      const bad = (schedule: { cron: string; timeZone: string }): Promise<string> =>
        refused(
          at.groups.updateCourierGroup({
            courierGroup: { id: group.id, schedule: { ...schedule, active: true } },
            updateMask: { paths: ["schedule"] },
          }),
        );
      expect(await bad({ cron: "61 * * * *", timeZone: "UTC" })).toMatch(
        /^InvalidArgument: courier_group.schedule.cron/,
      );
      expect(await bad({ cron: "0 6 * * *", timeZone: "Mars" })).toMatch(
        /^InvalidArgument: courier_group.schedule.time_zone/,
      );
      expect(
        await refused(
          at.groups.createCourierGroup({
            courierGroup: { name: "x", members: [{ courierId: "no" }] },
          }),
        ),
      ).toMatch(/members\[0\]\.courier_id/);
      await at.groups.deleteCourierGroup({ id: group.id });
      expect(await refused(at.groups.getCourierGroup({ id: group.id }))).toMatch(/^NotFound/);
    });

    test("notifications name what ran, when it was no courier", async () => {
      await using at = await openGroups(database);
      await at.house.courier({ loads: { lines: "orders" } });
      const { workflowId } = await at.house.engine.replayRejects(
        create(ReplayRejectsRequestSchema, { feedId: "lines" }),
      );
      await at.house.workflows.cancelWorkflow({ id: workflowId });
      const { notifications } = await at.notifications.listNotifications({ workflowId });
      expect(notifications).toMatchObject([
        {
          message: "A replay of rejects of shop.lines was stopped by hand.",
          courierName: "",
          sources: ["shop"],
        },
      ]);
    });

    test("events come in order to watchers and none is left out, whoever writes at the same time", async () => {
      await using at = await openGroups(database);
      const courierId = await at.house.courier({ loads: { lines: "orders" } });
      const runs = await Promise.all(Array.from({ length: 12 }, () => at.house.run(courierId)));
      const seen: { event: bigint; id: string; known: boolean }[] = [];
      const watch = async (after: bigint, count: number): Promise<void> => {
        const stream = at.notifications.watchNotifications({ afterEvent: after });
        for await (const { event, notification } of stream) {
          const known = notification?.acknowledgeTime !== undefined;
          seen.push({ event, id: notification?.workflowId ?? "", known });
          if (seen.length === count) return;
        }
      };
      const watching = watch(0n, 5);
      await Promise.all(runs.map((id) => at.house.workflows.cancelWorkflow({ id })));
      await watching;
      // After a break, from the last event seen.
      await watch(seen.at(-1)?.event ?? 0n, runs.length);
      expect(seen.map(({ event }) => event)).toEqual(runs.map((_, index) => BigInt(index + 1)));
      expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(runs));

      const { notifications } = await at.notifications.listNotifications({ pageSize: 1 });
      const ids = notifications.map(({ id }) => id);
      await at.notifications.acknowledgeNotifications({ ids });
      await at.notifications.acknowledgeNotifications({ ids });
      await watch(seen.at(-1)?.event ?? 0n, runs.length + 1);
      expect(seen.at(-1)).toMatchObject({ known: true, id: notifications[0]?.workflowId });
      const left = await at.notifications.listNotifications({ unacknowledgedOnly: true });
      expect(left.notifications).toHaveLength(runs.length - 1);
    });
  });
}
