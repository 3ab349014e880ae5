import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Stage, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import {
  GroupRunMember_State as Member,
  GroupRunRefresh_State as Refresh,
  GroupRun_State as Run,
  RunType,
} from "@sluice/api/control/v1/group_run_pb";
import { Notification_Kind as Kind } from "@sluice/api/control/v1/notification_pb";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { groupsThatRefresh } from "../src/groups/group-references.ts";
import { type GroupHouse, openGroups } from "./group-house.ts";
import {
  doAll,
  doWell,
  hasPostgres,
  makeStatePlace,
  objectsOf,
  type StatePlace,
} from "./workflow-house.ts";

/** Custom domain tables that runs of groups publish anew. */

async function customTable({ kysely }: Database, tenant: string, name: string): Promise<string> {
  await kysely
    .insertInto("custom_domain_table")
    .values({
      tenant,
      id: `custom-${name}`,
      source_id: "source",
      name,
      name_key: name,
      spec: JSON.stringify({ query: `SELECT ${name}.id FROM shop.lines AS ${name}` }),
      columns: "[]",
      etag: "e",
    })
    .execute();
  return `custom-${name}`;
}

/** A house with a courier and a group that refreshes two tables. */
async function sketch(at: GroupHouse, database: Database) {
  const courierId = await at.house.courier({ loads: { lines: "orders" } });
  const tables = [
    await customTable(database, at.house.tenant, "b"),
    await customTable(database, at.house.tenant, "a"),
  ];
  const group = await at.make({ members: [{ courierId }], customDomainTableIds: tables });
  return { courierId, tables, groupId: group.id };
}

async function fail(at: GroupHouse, { taskId, attempt }: Lease): Promise<void> {
  const failure = create(StageFailureSchema, {
    stage: Stage.LIST,
    code: "no_such_bucket",
    message: "there is no bucket orders",
  });
  await at.house.tasks.failTask({ taskId, attempt, failure });
}

const found = objectsOf("orders", "a");
const publishOf = (lease: Lease): string =>
  lease.work.case === "publish" ? (lease.work.value.feed?.name ?? "") : "";

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`refreshes of groups on ${kind}`, { timeout: 60_000 }, () => {
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

    test("follow the couriers in the group's order, one at a time, once for all who look", async () => {
      await using at = await openGroups(database);
      const { groupId, tables } = await sketch(at, database);
      const id = (await at.groups.runCourierGroup({ id: groupId })).groupRun?.id ?? "";
      const rounds = (): Promise<unknown> =>
        Promise.all([at.round(), at.round(), at.round(), at.round()]);
      await rounds();
      expect((await at.run(id)).refreshes).toMatchObject([
        { customDomainTableId: tables[0], source: "shop", name: "b", state: Refresh.WAITING },
        { customDomainTableId: tables[1], name: "a", state: Refresh.WAITING, workflowId: "" },
      ]);
      await doAll(at.house, found);
      expect(await at.run(id)).toMatchObject({
        state: Run.RUNNING,
        members: [{ state: Member.SUCCEEDED }],
        refreshes: [{ state: Refresh.WAITING }, { state: Refresh.WAITING }],
      });
      for (const name of ["b", "a"]) {
        await rounds();
        await rounds();
        expect((await at.run(id)).endTime).toBeUndefined();
        const leases = await at.house.claim("worker");
        expect(leases.map(publishOf)).toEqual([name]);
        expect(leases[0]?.work.value).toMatchObject({
          change: { change: { case: "customTable" } },
        });
        for (const lease of leases) await doWell(at.house, lease);
        await doAll(at.house);
      }
      await rounds();
      const run = await at.run(id);
      expect(run).toMatchObject({
        state: Run.SUCCEEDED,
        refreshes: [{ state: Refresh.SUCCEEDED }, { state: Refresh.SUCCEEDED, problem: "" }],
      });
      expect(run.endTime).toBeDefined();
      const { workflows } = await at.house.workflows.listWorkflows({});
      expect(workflows).toHaveLength(3);
      expect(workflows.map(({ groupRunId }) => groupRunId)).toEqual([id, id, id]);
      expect(await at.house.claim("worker")).toEqual([]);
    });

    test("are passed over after a courier that failed, until it is resumed and ends well", async () => {
      await using at = await openGroups(database);
      const { groupId } = await sketch(at, database);
      const id = (await at.groups.runCourierGroup({ id: groupId })).groupRun?.id ?? "";
      for (const lease of await at.house.claim("worker")) await fail(at, lease);
      await at.round();
      const failed = await at.run(id);
      const problem = `courier ${failed.members[0]?.courierName} failed`;
      expect(failed).toMatchObject({
        state: Run.FAILED,
        refreshes: [
          { state: Refresh.SKIPPED, problem },
          { state: Refresh.SKIPPED, problem },
        ],
      });
      expect(failed.endTime).toBeDefined();
      expect(await doAll(at.house)).toEqual([]);

      const { actions } = await at.house.workflows.listActions({
        workflowId: failed.members[0]?.workflowId ?? "",
      });
      await at.house.workflows.resolveAction({
        id: actions[0]?.id ?? "",
        resolutionId: "retry_task",
        etag: actions[0]?.etag ?? "",
      });
      await doAll(at.house, found);
      for (let look = 0; look < 3; look++) {
        await at.round();
        await doAll(at.house);
      }
      expect(await at.run(id)).toMatchObject({
        state: Run.SUCCEEDED,
        refreshes: [{ state: Refresh.SUCCEEDED }, { state: Refresh.SUCCEEDED }],
      });
    });

    test("don't happen in a run that only runs couriers, asked for or by schedule", async () => {
      await using at = await openGroups(database);
      const { groupId, courierId, tables } = await sketch(at, database);
      const scheduled = await at.make({
        members: [{ courierId }],
        customDomainTableIds: tables,
        schedule: { cron: "0 6 * * *", active: true, runType: RunType.SOURCE },
      });
      await at.backdate(scheduled.id, "2026-03-27T06:00:00Z");
      await at.round();
      await at.groups.runCourierGroup({ id: groupId, runType: RunType.SOURCE });
      await doAll(at.house, found);
      await at.round();
      expect(await at.house.claim("worker")).toEqual([]);
      const { groupRuns } = await at.groups.listCourierGroupRuns({});
      expect(groupRuns).toHaveLength(2);
      for (const run of groupRuns) {
        expect(run).toMatchObject({
          state: Run.SUCCEEDED,
          runType: RunType.SOURCE,
          members: [{ state: Member.SUCCEEDED }],
          refreshes: [],
        });
        const workflowId = run.members[0]?.workflowId ?? "";
        const { workflow } = await at.house.workflows.getWorkflow({ id: workflowId });
        expect(workflow?.ingestOnly).toBe(true);
      }
    });

    test("stop with the run, and none begins after", async () => {
      await using at = await openGroups(database);
      const { groupId } = await sketch(at, database);
      const id = (await at.groups.runCourierGroup({ id: groupId })).groupRun?.id ?? "";
      await doAll(at.house, found);
      await at.round();
      expect((await at.run(id)).refreshes[0]?.state).toBe(Refresh.RUNNING);
      const { groupRun } = await at.groups.cancelCourierGroupRun({ id });
      expect(groupRun).toMatchObject({
        state: Run.STOPPED,
        members: [{ state: Member.SUCCEEDED }],
        refreshes: [
          { state: Refresh.STOPPED },
          { state: Refresh.SKIPPED, problem: "the run was stopped" },
        ],
      });
      await at.round();
      expect((await doAll(at.house)).map(publishOf).filter((name) => name !== "")).toEqual([]);
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications.map((each) => each.kind)).toEqual([Kind.STOPPED]);
    });

    test("say which table is gone by the time of its turn, and somebody is told", async () => {
      await using at = await openGroups(database);
      const { groupId, tables } = await sketch(at, database);
      const id = (await at.groups.runCourierGroup({ id: groupId })).groupRun?.id ?? "";
      const change = {
        courierGroup: { id: groupId, customDomainTableIds: [] },
        updateMask: { paths: ["custom_domain_table_ids"] },
      };
      const { kysely } = database;
      const { tenant } = at.house;
      const [first = ""] = tables;
      expect(await groupsThatRefresh(kysely, tenant, first)).toHaveLength(1);
      await at.groups.updateCourierGroup(change);
      expect(await groupsThatRefresh(kysely, tenant, first)).toEqual([]);
      await kysely
        .deleteFrom("custom_domain_table")
        .where("tenant", "=", tenant)
        .where("id", "=", first)
        .execute();
      await doAll(at.house, found);
      await at.round();
      await at.round();
      expect(await at.run(id)).toMatchObject({
        state: Run.FAILED,
        refreshes: [
          { state: Refresh.NOT_STARTED, problem: expect.stringMatching(/was not found/) },
          { state: Refresh.SKIPPED, problem: "shop.b before it was not published" },
        ],
      });
      const { notifications } = await at.notifications.listNotifications({});
      expect(notifications).toMatchObject([
        { kind: Kind.WORKFLOW_FAILED, groupRunId: id, message: expect.stringMatching(/shop\.b/) },
      ]);
    });

    test("name tables that are there, each once", async () => {
      await using at = await openGroups(database);
      const { courierId, tables } = await sketch(at, database);
      const refused = async (customDomainTableIds: string[]): Promise<string> => {
        const making = at.make({ members: [{ courierId }], customDomainTableIds });
        const error = ConnectError.from(await making.catch((thrown: unknown) => thrown));
        expect(error.code).toBe(Code.InvalidArgument);
        return error.rawMessage;
      };
      const [first = ""] = tables;
      expect(await refused([first, "no"])).toMatch(/custom_domain_table_ids\[1\]/);
      expect(await refused([first, first])).toMatch(/custom_domain_table_ids\[1\].*already/);
    });
  });
}
