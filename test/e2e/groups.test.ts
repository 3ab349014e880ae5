import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import type { CourierGroupSchema } from "@sluice/api/control/v1/courier_group_pb";
import { CourierGroupService } from "@sluice/api/control/v1/courier_group_service_pb";
import {
  type GroupRun,
  GroupRunMember_State as Member,
  GroupRunRefresh_State as Refresh,
  GroupRun_State as Run,
  RunType,
} from "@sluice/api/control/v1/group_run_pb";
import { Notification_Kind as Kind } from "@sluice/api/control/v1/notification_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

/** Couriers that run together: on a schedule, when asked, waiting for files, and over a restart. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const ZONE = "Europe/Berlin";
const scope = { case: "date", value: DAY } as const;

let story: Story;
let groups: Client<typeof CourierGroupService>;
let notifications: Client<typeof NotificationService>;
beforeAll(async () => {
  story = await startStory({ controlEnvironment: { SLUICE_FILE_WAIT_PAUSE_MS: "200" } });
  groups = createClient(CourierGroupService, story.transport);
  notifications = createClient(NotificationService, story.transport);
});
afterAll(async () => await story[Symbol.asyncDispose]());

/** A courier of files named after it and a day, and its feed. */
async function courier(name: string): Promise<string> {
  const feedId = await story.feed("crm", name, SPEC);
  return await story.courier({ feedId, pattern: `'${name}-'yyyy-MM-dd'.csv'` });
}

const put = (name: string, day: string, id: number): Promise<unknown> =>
  story.customer.put(`${name}-${day}.csv`, `id,name\n${id},${day}\n`);

async function group(
  name: string,
  rest: Omit<Exclude<MessageInitShape<typeof CourierGroupSchema>, { $typeName: string }>, "name">,
): Promise<string> {
  const { courierGroup } = await groups.createCourierGroup({ courierGroup: { name, ...rest } });
  return courierGroup?.id ?? "";
}

/** Looks at a run until it is as wished. */
async function until(id: string, reached: (run: GroupRun) => boolean): Promise<GroupRun> {
  for (;;) {
    const { groupRun } = await groups.getCourierGroupRun({ id });
    if (groupRun !== undefined && reached(groupRun)) return groupRun;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const end = (id: string): Promise<GroupRun> => until(id, (run) => run.endTime !== undefined);

/** Looks at a group until its schedule has begun a run. */
async function fired(groupId: string): Promise<GroupRun> {
  for (;;) {
    const { groupRuns } = await groups.listCourierGroupRuns({ groupId });
    if (groupRuns[0] !== undefined) return groupRuns[0];
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The parts of a moment as a clock on the wall shows them. */
function localParts(moment: Date): Record<string, string> {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: ZONE,
    dateStyle: "short",
    timeStyle: "medium",
    hourCycle: "h23",
  });
  return Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
}

/** A schedule that fires once a day, and next in so many seconds; with the local day it fires on. */
function inSeconds(seconds: number): { cron: string; fire: number; day: string } {
  const fire = Math.floor(Date.now() / 1000) + seconds;
  const { year, month, day, hour, minute, second } = localParts(new Date(fire * 1000));
  return { cron: `${second} ${minute} ${hour} * * *`, fire, day: `${year}-${month}-${day}` };
}

describe("a courier group", () => {
  it("runs its couriers on its schedule, side by side, in its time zone (RU-5)", async () => {
    const orders = await courier("orders");
    const people = await courier("people");
    const { cron, fire, day } = inSeconds(5);
    const yesterday = new Date(Date.parse(day) - 86_400_000).toISOString().slice(0, 10);
    const wait = { seconds: 120n };
    const groupId = await group("nightly", {
      schedule: { cron, timeZone: ZONE, active: true },
      members: [
        { courierId: orders, wait },
        { courierId: people, wait, offset: { seconds: 86_400n } },
      ],
    });
    await put("orders", day, 1);
    await put("people", yesterday, 2);
    const { courierGroup } = await groups.getCourierGroup({ id: groupId });
    expect(courierGroup?.nextFireTime?.seconds).toBe(BigInt(fire));

    const run = await end((await fired(groupId)).id);
    expect(run).toMatchObject({
      groupName: "nightly",
      state: Run.SUCCEEDED,
      fireTime: { seconds: BigInt(fire) },
      members: [
        { courierName: "courier 1", state: Member.SUCCEEDED, startDate: day },
        { courierName: "courier 2", state: Member.SUCCEEDED, startDate: yesterday, endDate: day },
      ],
    });
    for (const { workflowId } of run.members) {
      const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
      expect(workflow?.groupRunId).toBe(run.id);
    }
    expect(await story.rows("SELECT id, name FROM crm.orders")).toEqual([{ id: 1, name: day }]);
    expect(await story.rows("SELECT id, name FROM crm.people")).toEqual([
      { id: 2, name: yesterday },
    ]);
    // Fired once, and again tomorrow.
    expect((await groups.listCourierGroupRuns({ groupId })).groupRuns).toHaveLength(1);
    const next = (await groups.getCourierGroup({ id: groupId })).courierGroup?.nextFireTime;
    expect(Number(next?.seconds) - fire).toBeGreaterThanOrEqual(23 * 3_600);
  });

  it("keeps its couriers from being deleted, and shows which groups a courier is in (RU-5)", async () => {
    const courierId = await courier("kept");
    const groupId = await group("keeper", { members: [{ courierId }] });
    const { courierGroups } = await groups.listCourierGroups({ courierId });
    expect(courierGroups.map(({ name }) => name)).toEqual(["keeper"]);
    const error = await story.couriers.deleteCourier({ id: courierId }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.FailedPrecondition });
    expect(String(error)).toContain("courier group keeper");
    await groups.deleteCourierGroup({ id: groupId });
    await story.couriers.deleteCourier({ id: courierId });
  });

  it("makes up for a fire that control slept through, once (RU-5)", async () => {
    const courierId = await courier("slept");
    const { cron, fire, day } = inSeconds(5);
    const groupId = await group("sleeper", {
      schedule: { cron, timeZone: ZONE, active: true },
      members: [{ courierId, wait: { seconds: 120n } }],
    });
    await put("slept", day, 1);
    await story.local.control.kill();
    await new Promise((resolve) => setTimeout(resolve, fire * 1000 - Date.now() + 500));
    await story.local.startControl();
    const run = await end((await fired(groupId)).id);
    expect(run).toMatchObject({ state: Run.SUCCEEDED, fireTime: { seconds: BigInt(fire) } });
    expect((await groups.listCourierGroupRuns({ groupId })).groupRuns).toHaveLength(1);
    expect(await story.rows("SELECT id FROM crm.slept")).toEqual([{ id: 1 }]);
  });

  it("does not fire while it is paused, and runs when asked all the same (RU-5)", async () => {
    const courierId = await courier("asked");
    const { cron, fire } = inSeconds(5);
    const groupId = await group("paused", {
      schedule: { cron, timeZone: ZONE, active: true },
      members: [{ courierId }],
    });
    const { courierGroup } = await groups.pauseCourierGroup({ id: groupId });
    expect(courierGroup?.nextFireTime).toBeUndefined();
    await put("asked", DAY, 1);
    const { groupRun } = await groups.runCourierGroup({ id: groupId, scope, requestId: "one" });
    const again = await groups.runCourierGroup({ id: groupId, scope, requestId: "one" });
    expect(again.groupRun?.id).toBe(groupRun?.id);
    const run = await end(groupRun?.id ?? "");
    expect(run).toMatchObject({ state: Run.SUCCEEDED, members: [{ startDate: DAY }] });
    expect(run.fireTime).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, fire * 1000 - Date.now() + 2_000));
    expect((await groups.listCourierGroupRuns({ groupId })).groupRuns).toHaveLength(1);
    const { courierGroup: resumed } = await groups.resumeCourierGroup({ id: groupId });
    expect(Number(resumed?.nextFireTime?.seconds)).toBeGreaterThan(Date.now() / 1000);
    await groups.pauseCourierGroup({ id: groupId });
  });

  it("that is less frequent than daily looks at every day since its last time (RU-5)", async () => {
    const courierId = await courier("weekly");
    // Three days ago it would have run.
    const weekday = (new Date().getUTCDay() + 4) % 7;
    const groupId = await group("weekly", {
      schedule: { cron: `0 0 * * ${weekday}`, timeZone: "UTC", active: false },
      members: [{ courierId }],
    });
    const day = (ago: number): string =>
      new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    await put("weekly", day(4), 4);
    await put("weekly", day(1), 1);
    const { groupRun } = await groups.runCourierGroup({ id: groupId });
    const run = await end(groupRun?.id ?? "");
    expect(run).toMatchObject({
      state: Run.SUCCEEDED,
      members: [{ startDate: day(2), endDate: day(-1) }],
    });
    expect(await story.rows("SELECT id FROM crm.weekly")).toEqual([{ id: 1 }]);

    await groups.updateCourierGroup({
      courierGroup: { id: groupId, onlyPastDay: true },
      updateMask: { paths: ["only_past_day"] },
    });
    const today = await groups.runCourierGroup({ id: groupId });
    expect(await end(today.groupRun?.id ?? "")).toMatchObject({
      members: [{ state: Member.MISSING_FILES, startDate: day(0) }],
    });
  });

  it("waits for files that come after its start (RU-5)", async () => {
    const courierId = await courier("late");
    const id = await group("patient", { members: [{ courierId, wait: { seconds: 120n } }] });
    const runId = (await groups.runCourierGroup({ id, scope })).groupRun?.id ?? "";
    await until(runId, (run) => run.members[0]?.state === Member.WAITING_FOR_FILES);
    await put("late", DAY, 7);
    const run = await end(runId);
    expect(run).toMatchObject({ state: Run.SUCCEEDED, members: [{ state: Member.SUCCEEDED }] });
    expect(await story.rows("SELECT id FROM crm.late")).toEqual([{ id: 7 }]);
  });

  it("goes on without files that never came, and tells it (RU-5, WF-1)", async () => {
    const there = await courier("there");
    const missing = await courier("missing");
    await put("there", DAY, 1);
    const id = await group("forgiving", {
      members: [
        { courierId: missing, wait: { seconds: 1n }, notifyWhenMissing: true },
        { courierId: there },
      ],
    });
    const run = await end((await groups.runCourierGroup({ id, scope })).groupRun?.id ?? "");
    expect(run).toMatchObject({
      state: Run.SUCCEEDED,
      members: [{ state: Member.MISSING_FILES }, { state: Member.SUCCEEDED }],
    });
    expect(await story.rows("SELECT id FROM crm.there")).toEqual([{ id: 1 }]);
    const told = await notifications.listNotifications({ courierId: missing });
    expect(told.notifications).toMatchObject([
      {
        kind: Kind.MISSING_FILE,
        workflowId: run.members[0]?.workflowId,
        groupRunId: run.id,
        groupName: "forgiving",
        failure: { code: "file_not_found", coordinate: { key: `missing-${DAY}.csv` } },
      },
    ]);
  });

  it("stops the others when a courier lacks files that it can't go without (RU-5)", async () => {
    const needed = await courier("needed");
    const waiting = await courier("waiting");
    const id = await group("strict", {
      members: [
        { courierId: needed, stopWhenMissing: true },
        { courierId: waiting, wait: { seconds: 600n } },
      ],
    });
    const run = await end((await groups.runCourierGroup({ id, scope })).groupRun?.id ?? "");
    expect(run).toMatchObject({
      state: Run.FAILED,
      members: [{ state: Member.MISSING_FILES }, { state: Member.STOPPED }],
    });
  });

  it("tells of a run that takes too long, and stops when it is told to (RU-5)", async () => {
    const courierId = await courier("never");
    const id = await group("slow", {
      runtimeAlert: { nanos: 200_000_000 },
      members: [{ courierId, wait: { seconds: 600n } }],
    });
    const runId = (await groups.runCourierGroup({ id, scope })).groupRun?.id ?? "";
    const kinds = async (): Promise<Kind[]> => {
      const all = await notifications.listNotifications({});
      return all.notifications.filter((each) => each.groupRunId === runId).map(({ kind }) => kind);
    };
    await expect.poll(kinds, { timeout: 30_000 }).toEqual([Kind.RUNTIME_EXCEEDED]);
    await groups.cancelCourierGroupRun({ id: runId });
    expect((await end(runId)).state).toBe(Run.STOPPED);
    expect(await kinds()).toEqual([Kind.STOPPED, Kind.RUNTIME_EXCEEDED]);
  });

  it("refreshes custom domain tables once its couriers have ended well (RU-5, RU-6)", async () => {
    const buyers = await courier("buyers");
    const sales = await courier("sales");
    const table = async (name: string, query: string): Promise<string> => {
      const made = await story.customTables.createCustomDomainTable({
        customDomainTable: { source: "web", name, query },
      });
      return made.customDomainTable?.id ?? "";
    };
    await put("buyers", DAY, 1);
    await put("sales", DAY, 1);
    const members = [{ courierId: buyers }, { courierId: sales }];
    const first = await group("before", { members });
    const startRun = async (id: string, runType: RunType = RunType.FULL): Promise<string> =>
      (await groups.runCourierGroup({ id, scope, runType })).groupRun?.id ?? "";
    expect((await end(await startRun(first))).state).toBe(Run.SUCCEEDED);
    const joined = await table(
      "joined",
      "SELECT b.id AS id FROM crm.buyers AS b JOIN crm.sales AS s ON s.id = b.id",
    );
    const { workflowId } = await story.customTables.publishCustomDomainTable({ id: joined });
    for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
    // It reads the first: the order is the group's.
    const counted = await table("counted", "SELECT count() AS n FROM web.joined");
    const id = await group("refreshing", { members, customDomainTableIds: [joined, counted] });
    const ids = (): Promise<unknown> => story.rows("SELECT id FROM web.joined ORDER BY id");
    const loads = async (): Promise<number> =>
      (await story.tables.listLoads({ feedId: joined })).loads.length;
    expect(await ids()).toEqual([{ id: 1 }]);

    await put("buyers", DAY, 2);
    await put("sales", DAY, 2);
    const runId = await startRun(id);
    // Wherever the run is when control dies, each table is published once.
    await story.local.control.kill();
    await story.local.startControl();
    const run = await end(runId);
    expect(run).toMatchObject({
      state: Run.SUCCEEDED,
      refreshes: [
        { customDomainTableId: joined, source: "web", name: "joined", state: Refresh.SUCCEEDED },
        { customDomainTableId: counted, name: "counted", state: Refresh.SUCCEEDED },
      ],
    });
    expect(await ids()).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await story.rows("SELECT toInt32(n) AS n FROM web.counted")).toEqual([{ n: 2 }]);
    expect(await loads()).toBe(2);
    const refresh = await story.workflows.getWorkflow({ id: run.refreshes[0]?.workflowId ?? "" });
    expect(refresh.workflow?.groupRunId).toBe(runId);

    await put("buyers", DAY, 3);
    await put("sales", DAY, 3);
    const loadedOnly = await end(await startRun(id, RunType.SOURCE));
    expect(loadedOnly).toMatchObject({
      state: Run.SUCCEEDED,
      runType: RunType.SOURCE,
      members: [{ state: Member.SUCCEEDED }, { state: Member.SUCCEEDED }],
      refreshes: [],
    });
    expect(await story.rows("SELECT id FROM crm.buyers ORDER BY id")).toContainEqual({ id: 3 });
    expect(await ids()).toEqual([{ id: 1 }, { id: 2 }]);

    await story.customer.put(`sales-${DAY}.csv`, "id,name\nnone,x\n");
    const failed = await end(await startRun(id));
    expect(failed).toMatchObject({
      state: Run.FAILED,
      members: [
        { state: Member.SUCCEEDED },
        { state: Member.FAILED, courierName: expect.any(String) },
      ],
    });
    const problem = `courier ${failed.members[1]?.courierName} failed`;
    const skipped = { state: Refresh.SKIPPED, workflowId: "" };
    expect(failed.refreshes).toMatchObject([
      { ...skipped, problem },
      { ...skipped, problem },
    ]);
    expect(await ids()).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await loads()).toBe(2);

    const error = await story.customTables
      .deleteCustomDomainTable({ id: joined })
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.FailedPrecondition });
    expect(String(error)).toContain("courier group refreshing");
    expect(await ids()).toHaveLength(2);
  });
});
