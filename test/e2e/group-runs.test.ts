import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import type { CourierGroupSchema } from "@sluice/api/control/v1/courier_group_pb";
import {
  CourierGroupService,
  type RunCourierGroupRequestSchema,
} from "@sluice/api/control/v1/courier_group_service_pb";
import {
  type GroupRun,
  GroupRunMember_State as Member,
  GroupRunRefresh_State as Refresh,
  GroupRun_State as Run,
  RunType,
} from "@sluice/api/control/v1/group_run_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandLine, openCommandLine } from "./command-line.ts";
import { type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

/** What a run of a group can be asked for: days, a period or everything; couriers, tables or both. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const DAY_S = 86_400n;

type Group = Exclude<MessageInitShape<typeof CourierGroupSchema>, { $typeName: string }>;
type Asked = Exclude<MessageInitShape<typeof RunCourierGroupRequestSchema>, { $typeName: string }>;

let story: Story;
let line: CommandLine;
let groups: Client<typeof CourierGroupService>;
beforeAll(async () => {
  story = await startStory({ controlEnvironment: { SLUICE_FILE_WAIT_PAUSE_MS: "200" } });
  groups = createClient(CourierGroupService, story.transport);
  line = await openCommandLine(story.local);
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await line[Symbol.asyncDispose]();
});

/** A courier of files named after it and a day, and its feed. */
async function courier(name: string): Promise<string> {
  const feedId = await story.feed("crm", name, SPEC);
  return await story.courier({ feedId, pattern: `'${name}-'yyyy-MM-dd'.csv'` });
}

const put = (name: string, day: string, id: number): Promise<unknown> =>
  story.customer.put(`${name}-${day}.csv`, `id,name\n${id},${day}\n`);

const namesOf = (name: string): Promise<unknown> =>
  story.rows(`SELECT name FROM crm.${name} ORDER BY name`);
const days = (...names: readonly string[]): unknown => names.map((name) => ({ name }));

async function group(name: string, rest: Omit<Group, "name">): Promise<string> {
  const { courierGroup } = await groups.createCourierGroup({ courierGroup: { name, ...rest } });
  return courierGroup?.id ?? "";
}

async function until(id: string, reached: (run: GroupRun) => boolean): Promise<GroupRun> {
  for (;;) {
    const { groupRun } = await groups.getCourierGroupRun({ id });
    if (groupRun !== undefined && reached(groupRun)) return groupRun;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const end = (id: string): Promise<GroupRun> => until(id, (run) => run.endTime !== undefined);

const begin = async (asked: Asked): Promise<string> =>
  (await groups.runCourierGroup(asked)).groupRun?.id ?? "";

/** Begins a run, and looks at it until it has ended. */
const ran = async (asked: Asked): Promise<GroupRun> => await end(await begin(asked));

describe("a run of a group", () => {
  it("loads a period for every courier, less its offset (RU-5, RU-1, b11)", async () => {
    const orders = await courier("orders");
    const older = await courier("older");
    const id = await group("monthly", {
      members: [
        { courierId: orders },
        { courierId: older, offset: { seconds: 2n * DAY_S }, wait: { seconds: 120n } },
      ],
    });
    for (const [index, day] of ["2026-03-01", "2026-03-02", "2026-03-03"].entries()) {
      await put("orders", day, index);
    }
    await put("older", "2026-02-27", 1);
    const value = { startDate: "2026-03-01", endDate: "2026-03-03" };
    const runId = await begin({ id, scope: { case: "period", value } });
    // A wait is a wait for each of the days.
    await until(runId, (run) => run.members[1]?.state === Member.WAITING_FOR_FILES);
    await put("older", "2026-02-28", 2);
    expect(await end(runId)).toMatchObject({
      state: Run.SUCCEEDED,
      everything: false,
      runType: RunType.FULL,
      members: [
        { startDate: "2026-03-01", endDate: "2026-03-03" },
        { startDate: "2026-02-27", endDate: "2026-03-01" },
      ],
    });
    expect(await namesOf("orders")).toEqual(days("2026-03-01", "2026-03-02"));
    expect(await namesOf("older")).toEqual(days("2026-02-27", "2026-02-28"));
  });

  it("loads all data for every courier, whatever its offset (RU-5, b11)", async () => {
    const all = await courier("all");
    const late = await courier("late");
    const id = await group("all data", {
      members: [
        { courierId: all, offset: { seconds: 30n * DAY_S } },
        { courierId: late, wait: { seconds: 120n } },
      ],
    });
    for (const [index, day] of ["2024-02-29", "2025-12-31", "2026-03-02"].entries()) {
      await put("all", day, index);
    }
    const running = line.run(["group", "run", "all data", "--everything", "--wait", "--json"]);
    const runOf = async (): Promise<GroupRun | undefined> =>
      (await groups.listCourierGroupRuns({ groupId: id })).groupRuns[0];
    await expect
      .poll(async () => (await runOf())?.members[1]?.state, { timeout: 60_000 })
      .toBe(Member.WAITING_FOR_FILES);
    await put("late", "2026-01-01", 1);
    const { code, out } = await running;
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      state: "STATE_SUCCEEDED",
      everything: true,
      members: [
        { startDate: "2024-02-29", endDate: "2026-03-03" },
        { startDate: "2026-01-01", endDate: "2026-01-02" },
      ],
    });
    expect(await namesOf("all")).toEqual(days("2024-02-29", "2025-12-31", "2026-03-02"));
    expect(await namesOf("late")).toEqual(days("2026-01-01"));

    const [member] = (await runOf())?.members ?? [];
    const { workflow } = await story.workflows.getWorkflow({ id: member?.workflowId ?? "" });
    expect(workflow?.everything).toBe(true);
    // A restart finds what came after the days that were found before.
    await put("all", "2026-03-03", 9);
    const restarted = await story.workflows.restartWorkflow({ id: workflow?.id ?? "" });
    for await (const _ of story.workflows.watchWorkflow({ id: restarted.workflowId }));
    expect(await namesOf("all")).toContainEqual({ name: "2026-03-03" });
  });

  it("runs couriers, refreshes tables, or both (RU-5, RU-6, b12, b14, b16)", async () => {
    const buyers = await courier("buyers");
    await put("buyers", "2026-03-01", 1);
    await story.run(buyers, "2026-03-01");
    const made = await story.customTables.createCustomDomainTable({
      customDomainTable: { source: "web", name: "best", query: "SELECT id FROM crm.buyers" },
    });
    const customDomainTableIds = [made.customDomainTable?.id ?? ""];
    const members = [{ courierId: buyers }];
    const id = await group("typed", { members, customDomainTableIds });
    const ids = (): Promise<unknown> => story.rows("SELECT id FROM web.best ORDER BY id");
    const date = (value: string): { case: "date"; value: string } => ({ case: "date", value });

    expect(await ran({ id, runType: RunType.REFRESH })).toMatchObject({
      state: Run.SUCCEEDED,
      runType: RunType.REFRESH,
      members: [],
      refreshes: [{ state: Refresh.SUCCEEDED, name: "best" }],
    });
    expect(await ids()).toEqual([{ id: 1 }]);

    await put("buyers", "2026-03-02", 2);
    const source = await ran({ id, runType: RunType.SOURCE, scope: date("2026-03-02") });
    expect(source).toMatchObject({
      state: Run.SUCCEEDED,
      runType: RunType.SOURCE,
      members: [{ state: Member.SUCCEEDED }],
      refreshes: [],
    });
    expect(await namesOf("buyers")).toEqual(days("2026-03-01", "2026-03-02"));
    expect(await ids()).toEqual([{ id: 1 }]);

    const refreshed = await line.run(["group", "run", "typed", "--run-type", "refresh", "--wait"]);
    expect(refreshed).toMatchObject({ code: 0, out: expect.stringContaining("best") });
    expect(await ids()).toEqual([{ id: 1 }, { id: 2 }]);

    await put("buyers", "2026-03-03", 3);
    expect(await ran({ id, scope: date("2026-03-03") })).toMatchObject({
      state: Run.SUCCEEDED,
      runType: RunType.FULL,
      members: [{ state: Member.SUCCEEDED }],
      refreshes: [{ state: Refresh.SUCCEEDED }],
    });
    expect(await ids()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it("by schedule is of the schedule's type (RU-5, b12)", async () => {
    const nobody = await courier("nobody");
    await put("nobody", "2026-03-01", 5);
    await story.run(nobody, "2026-03-01");
    const made = await story.customTables.createCustomDomainTable({
      customDomainTable: { source: "web", name: "nightly", query: "SELECT id FROM crm.nobody" },
    });
    const second = new Date(Date.now() + 3_000).getUTCSeconds();
    const groupId = await group("nightly refresh", {
      schedule: { cron: `${second} * * * * *`, active: true, runType: RunType.REFRESH },
      // Its files would never come.
      members: [{ courierId: nobody, stopWhenMissing: true }],
      customDomainTableIds: [made.customDomainTable?.id ?? ""],
    });
    const first = async (): Promise<string | undefined> =>
      (await groups.listCourierGroupRuns({ groupId })).groupRuns.at(-1)?.id;
    await expect.poll(first, { timeout: 90_000 }).toBeDefined();
    await groups.pauseCourierGroup({ id: groupId });
    const run = await end((await first()) ?? "");
    expect(run).toMatchObject({
      state: Run.SUCCEEDED,
      runType: RunType.REFRESH,
      members: [],
      refreshes: [{ state: Refresh.SUCCEEDED }],
    });
    expect(run.fireTime).toBeDefined();
    expect(await story.rows("SELECT id FROM web.nightly")).toEqual([{ id: 5 }]);
  });

  it("that has nothing to do, or says what it does not do, is refused with the field (RU-5, b12)", async () => {
    const courierId = await courier("refused");
    await put("refused", "2026-03-01", 1);
    await story.run(courierId, "2026-03-01");
    const id = await group("bare", { members: [{ courierId }] });
    const refusal = async (call: Promise<unknown>): Promise<string> => {
      const error = ConnectError.from(await call.catch((thrown: unknown) => thrown));
      expect(error.code).toBe(Code.InvalidArgument);
      return error.rawMessage;
    };
    const runType = RunType.REFRESH;
    expect(await refusal(groups.runCourierGroup({ id, runType }))).toMatch(
      /^run_type: .*custom_domain_table_ids/,
    );
    expect(
      await refusal(
        group("bare too", {
          schedule: { cron: "0 6 * * *", active: true, runType },
          members: [{ courierId }],
        }),
      ),
    ).toMatch(/^courier_group\.schedule\.run_type: /);
    const made = await story.customTables.createCustomDomainTable({
      customDomainTable: { source: "web", name: "refused", query: "SELECT id FROM crm.refused" },
    });
    const typed = await group("with a table", {
      members: [{ courierId }],
      customDomainTableIds: [made.customDomainTable?.id ?? ""],
    });
    const scope = { case: "date", value: "2026-03-01" } as const;
    expect(await refusal(groups.runCourierGroup({ id: typed, runType, scope }))).toMatch(
      /^date: a run of type refresh loads no files/,
    );
    const said = await line.run(["group", "run", "bare", "--run-type", "refresh"]);
    expect(said.code).not.toBe(0);
    expect(said.err).toContain("run_type");
    expect((await groups.listCourierGroupRuns({ groupId: id })).groupRuns).toEqual([]);
  });
});
