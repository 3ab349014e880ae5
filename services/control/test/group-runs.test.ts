import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ViolationsSchema } from "@sluice/api/buf/validate/validate_pb";
import type { RunCourierGroupRequestSchema } from "@sluice/api/control/v1/courier_group_service_pb";
import {
  GroupRunMember_State as Member,
  GroupRunRefresh_State as Refresh,
  GroupRun_State as Run,
  RunType,
} from "@sluice/api/control/v1/group_run_pb";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { type GroupHouse, openGroups } from "./group-house.ts";
import {
  doAll,
  hasPostgres,
  makeStatePlace,
  objectsOf,
  type StatePlace,
} from "./workflow-house.ts";

/** For which days a run of a group looks for files, and which of its parts it has. */

type Asked = Exclude<MessageInitShape<typeof RunCourierGroupRequestSchema>, { $typeName: string }>;

const DAY_S = 86_400n;
const DAILY = { cron: "0 6 * * *", timeZone: "Europe/Berlin", active: true };

async function customTable({ kysely }: Database, { house }: GroupHouse): Promise<string> {
  const id = `custom-${randomUUID()}`;
  await kysely
    .insertInto("custom_domain_table")
    .values({
      tenant: house.tenant,
      id,
      source_id: "source",
      name: id,
      name_key: id,
      spec: JSON.stringify({ query: "SELECT l.id FROM shop.lines AS l" }),
      columns: "[]",
      etag: "e",
    })
    .execute();
  return id;
}

async function runId(at: GroupHouse, request: Asked): Promise<string> {
  return (await at.groups.runCourierGroup(request)).groupRun?.id ?? "";
}

/** The path and the rule of each field that a call is refused for. */
async function refusedFields(call: Promise<unknown>): Promise<string[]> {
  const error = ConnectError.from(await call.catch((thrown: unknown) => thrown));
  expect(error.code).toBe(Code.InvalidArgument);
  return error
    .findDetails(ViolationsSchema)
    .flatMap(({ violations }) =>
      violations.map(
        ({ field, ruleId }) =>
          `${field?.elements.map(({ fieldName }) => fieldName).join(".")} ${ruleId}`,
      ),
    );
}

/** What the lists of a round of leases look for. */
function lookedFor(leases: readonly Lease[]): { dates: string[]; everythingUntil: string }[] {
  return leases.flatMap(({ work }) =>
    work.case === "list"
      ? [{ dates: work.value.dates, everythingUntil: work.value.everythingUntil }]
      : [],
  );
}

const today = (zone: string): string =>
  new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" }).format(new Date());

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`a run of a group on ${kind}`, { timeout: 60_000 }, () => {
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

    test("takes a period for all its couriers, less the whole days of each one's offset", async () => {
      await using at = await openGroups(database);
      const [plain = "", older = "", hours = ""] = await couriers(at, 3);
      const { id } = await at.make({
        members: [
          { courierId: plain, wait: { seconds: 60n } },
          { courierId: older, offset: { seconds: 2n * DAY_S + 3_600n } },
          { courierId: hours, offset: { seconds: 3_600n } },
        ],
      });
      const value = { startDate: "2026-03-01", endDate: "2026-03-03" };
      const run = await at.run(await runId(at, { id, scope: { case: "period", value } }));
      expect(run).toMatchObject({
        everything: false,
        members: [
          { startDate: "2026-03-01", endDate: "2026-03-03" },
          { startDate: "2026-02-27", endDate: "2026-03-01" },
          { startDate: "2026-03-01", endDate: "2026-03-03" },
        ],
      });
      const [first] = run.members;
      expect(Number(first?.waitUntil?.seconds) - Number(run.createTime?.seconds)).toBe(60);
      expect(lookedFor(await at.house.claim("worker"))).toEqual([
        { dates: ["2026-03-01", "2026-03-02"], everythingUntil: "" },
        { dates: ["2026-02-27", "2026-02-28"], everythingUntil: "" },
        { dates: ["2026-03-01", "2026-03-02"], everythingUntil: "" },
      ]);
    });

    test("takes one day, less the whole days of each courier's offset", async () => {
      await using at = await openGroups(database);
      const [courierId = ""] = await couriers(at, 1);
      const { id } = await at.make({
        members: [{ courierId, offset: { seconds: DAY_S + 3_600n } }],
      });
      const asked = { id, scope: { case: "date", value: "2026-03-01" } } as const;
      expect((await at.run(await runId(at, asked))).members).toMatchObject([
        { startDate: "2026-02-28", endDate: "2026-03-01" },
      ]);
    });

    test("takes everything for all its couriers, whatever their offsets, and tells the days it found", async () => {
      await using at = await openGroups(database);
      const [plain = "", older = ""] = await couriers(at, 2);
      // Today is counted where the group counts its days.
      const timeZone = "Pacific/Kiritimati";
      const { id } = await at.make({
        schedule: { cron: "0 6 * * *", timeZone, active: false },
        members: [{ courierId: plain }, { courierId: older, offset: { seconds: 5n * DAY_S } }],
      });
      const asked = { id, scope: { case: "everything", value: {} } } as const;
      const begun = await runId(at, asked);
      const leases = await at.house.claim("worker");
      const all = { dates: [], everythingUntil: today(timeZone) };
      expect(lookedFor(leases)).toEqual([all, all]);
      const found = objectsOf("orders", "2025-11-30/a", "2026-02-14/b");
      for (const { taskId, attempt } of leases) {
        await at.house.tasks.appendManifest({ taskId, attempt, page: 0, objects: found });
        const result = { case: "list", value: { objects: 2n } } as const;
        await at.house.tasks.completeTask({ taskId, attempt, result });
      }
      await doAll(at.house);
      const days = { startDate: "2025-11-30", endDate: "2026-02-15", state: Member.SUCCEEDED };
      expect(await at.run(begun)).toMatchObject({
        state: Run.SUCCEEDED,
        everything: true,
        members: [days, days],
      });

      // A restart looks for what is there by then, not for the days that were found before.
      const [member] = (await at.run(begun)).members;
      await at.house.workflows.restartWorkflow({ id: member?.workflowId ?? "" });
      expect(lookedFor(await at.house.claim("worker"))).toEqual([
        { dates: [], everythingUntil: today("UTC") },
      ]);
    });

    test("does all that there is when it is not told what, for the days of its schedule", async () => {
      await using at = await openGroups(database);
      const [courierId = ""] = await couriers(at, 1);
      const customDomainTableIds = [await customTable(database, at)];
      const { id } = await at.make({
        schedule: { ...DAILY, active: false, runType: RunType.SOURCE },
        members: [{ courierId }],
        customDomainTableIds,
      });
      const day = today("Europe/Berlin");
      expect(await at.run(await runId(at, { id }))).toMatchObject({
        runType: RunType.FULL,
        everything: false,
        members: [{ startDate: day }],
        refreshes: [{ state: Refresh.WAITING }],
      });
    });

    test("is refused for days that can't be run, with the field", async () => {
      await using at = await openGroups(database);
      const [courierId = ""] = await couriers(at, 1);
      const { id } = await at.make({ members: [{ courierId }] });
      const period = (startDate: string, endDate: string): Promise<unknown> =>
        at.groups.runCourierGroup({
          id,
          scope: { case: "period", value: { startDate, endDate } },
        });
      expect(
        await refusedFields(
          at.groups.runCourierGroup({ id, scope: { case: "date", value: "2026-02-30" } }),
        ),
      ).toEqual(["date not_a_day"]);
      expect(await refusedFields(period("2026-03-02", "2026-03-02"))).toEqual([
        "period.end_date period_empty",
      ]);
      expect(await refusedFields(period("2026-03-02", "2999-01-01"))).toEqual([
        "period.end_date period_too_long",
      ]);
      expect(await refusedFields(period("2998-12-31", "2999-01-01"))).toEqual([
        "period.start_date in_the_future",
      ]);
      expect((await at.groups.listCourierGroupRuns({})).groupRuns).toEqual([]);
    });

    test("of type refresh publishes the tables, and runs no courier", async () => {
      await using at = await openGroups(database);
      const [courierId = ""] = await couriers(at, 1);
      const customDomainTableIds = [await customTable(database, at)];
      const { id } = await at.make({ members: [{ courierId }], customDomainTableIds });
      const begun = await runId(at, { id, runType: RunType.REFRESH });
      await at.round();
      const leases = await doAll(at.house);
      expect(leases.map(({ work }) => work.case)).toEqual(["publish", "discard"]);
      await at.round();
      const run = await at.run(begun);
      expect(run).toMatchObject({
        state: Run.SUCCEEDED,
        runType: RunType.REFRESH,
        members: [],
        refreshes: [{ state: Refresh.SUCCEEDED }],
      });
      expect(run.endTime).toBeDefined();
    });

    test("of type refresh by schedule loads no day: the next run that loads makes up for it", async () => {
      await using at = await openGroups(database);
      const [courierId = ""] = await couriers(at, 1);
      const customDomainTableIds = [await customTable(database, at)];
      const group = await at.make({
        schedule: { ...DAILY, runType: RunType.REFRESH },
        members: [{ courierId }],
        customDomainTableIds,
      });
      await at.backdate(group.id, "2026-03-27T05:00:00Z", "2026-03-25T05:00:00Z");
      await at.round();
      const { groupRuns } = await at.groups.listCourierGroupRuns({});
      expect(groupRuns).toMatchObject([{ runType: RunType.REFRESH, members: [] }]);
      // The last run by schedule that loaded was of the 25th.
      expect(await at.run(await runId(at, { id: group.id }))).toMatchObject({
        members: [{ startDate: "2026-03-26" }],
      });
      await at.groups.updateCourierGroup({
        courierGroup: { id: group.id, schedule: { runType: RunType.SOURCE } },
        updateMask: { paths: ["schedule.run_type"] },
      });
      await at.backdate(group.id, "2026-03-26T05:00:00Z", "2026-03-25T05:00:00Z");
      await database.kysely
        .updateTable("group_run")
        .set({ fire_time: null })
        .where("tenant", "=", at.house.tenant)
        .execute();
      await at.round();
      // That one has loaded all days there are.
      const [day] = (await at.run(await runId(at, { id: group.id }))).members;
      expect(day?.startDate).toBe(today("Europe/Berlin"));
    });

    test("of type refresh is refused without tables, and with days", async () => {
      await using at = await openGroups(database);
      const [courierId = ""] = await couriers(at, 1);
      const members = [{ courierId }];
      const runType = RunType.REFRESH;
      const bare = await at.make({ members });
      expect(await refusedFields(at.groups.runCourierGroup({ id: bare.id, runType }))).toEqual([
        "run_type run_type.nothing_to_refresh",
      ]);
      const schedule = { ...DAILY, runType };
      const nothing = "courier_group.schedule.run_type run_type.nothing_to_refresh";
      expect(await refusedFields(at.make({ members, schedule }))).toEqual([nothing]);
      const customDomainTableIds = [await customTable(database, at)];
      const group = await at.make({ members, schedule, customDomainTableIds });
      const emptied = at.groups.updateCourierGroup({
        courierGroup: { id: group.id, customDomainTableIds: [] },
        updateMask: { paths: ["custom_domain_table_ids"] },
      });
      expect(await refusedFields(emptied)).toEqual([nothing]);

      const value = { startDate: "2026-03-01", endDate: "2026-03-03" };
      for (const scope of [
        { case: "date", value: "2026-03-01" },
        { case: "period", value },
        { case: "everything", value: {} },
      ] as const) {
        expect(
          await refusedFields(at.groups.runCourierGroup({ id: group.id, runType, scope })),
        ).toEqual([`${scope.case} run_type.no_days`]);
      }
    });
  });
}

/** So many couriers of files `orders`. */
async function couriers(at: GroupHouse, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) ids.push(await at.house.courier({ loads: { lines: "orders" } }));
  return ids;
}
