import { Code, ConnectError } from "@connectrpc/connect";
import type { CourierGroup, GroupMember } from "@sluice/api/control/v1/courier_group_pb";
import { Notification_Kind } from "@sluice/api/control/v1/notification_pb";
import { sql } from "kysely";
import { type NewNotification, notify } from "../notifications/notify.ts";
import { selectCustomTables } from "../tables/custom-table-rows.ts";
import type { Tenant } from "../tenant.ts";
import type { Trx } from "../workflow/context.ts";
import { toMs } from "./group-rows.ts";
import type { GroupContext } from "./groups.ts";
import { daysOfMember, type RunScope } from "./run-scope.ts";
import type { RunTypeName } from "./run-type.ts";

/** What makes a group run. */
export interface RunStart {
  readonly group: CourierGroup;
  /** The time that the schedule named; undefined for a run that somebody asked for. */
  readonly fireTime: Date | undefined;
  /** What it does. */
  readonly runType: RunTypeName;
  /** Not set for a run that only refreshes: no courier looks for files. */
  readonly scope: RunScope | undefined;
}

/** A run that was written, and by which its parts are. */
interface NewRun extends RunStart {
  readonly id: string;
  readonly createTime: Date;
}

/**
 * Writes a run with a workflow for each courier, all in one transaction: a run is there whole or not at all. A courier
 * that can't be started, because a feed of it is not active, keeps none of the others from running; somebody is told.
 * A run that only refreshes has no couriers, one that only runs couriers has no tables.
 */
export async function beginRun(
  context: GroupContext,
  trx: Trx,
  tenant: Tenant,
  runId: string,
  start: RunStart,
): Promise<void> {
  const { group, fireTime, runType, scope } = start;
  const runtimeAlertMs = group.runtimeAlert === undefined ? undefined : toMs(group.runtimeAlert);
  const row = await trx
    .insertInto("group_run")
    .values({
      tenant,
      id: runId,
      group_id: group.id,
      group_name: group.name,
      fire_time: fireTime ?? null,
      run_type: runType,
      everything: scope?.case === "everything",
      runtime_alert_ms: runtimeAlertMs ?? null,
      alert_time:
        runtimeAlertMs === undefined
          ? null
          : sql<Date>`now() + make_interval(secs => ${runtimeAlertMs / 1000})`,
    })
    .returning("create_time")
    .executeTakeFirstOrThrow();
  const run = { ...start, id: runId, createTime: row.create_time };
  const problems = scope === undefined ? [] : await beginMembers(context, trx, tenant, run, scope);
  if (runType !== "source") await writeRefreshes(trx, tenant, run);
  for (const problem of problems) await notify(trx, tenant, problem);
}

/** Starts the couriers, and gives what somebody should know of those that can't be. */
async function beginMembers(
  { engine }: GroupContext,
  trx: Trx,
  tenant: Tenant,
  { id: runId, createTime, group, runType }: NewRun,
  scope: RunScope,
): Promise<NewNotification[]> {
  const names = await courierNames(trx, tenant, group.members);
  const problems: NewNotification[] = [];
  for (const [position, member] of group.members.entries()) {
    const days = daysOfMember(scope, toMs(member.offset));
    const waitUntil = new Date(createTime.getTime() + toMs(member.wait));
    const name = names.get(member.courierId) ?? "";
    const started = await startOrExplain(() =>
      engine.beginMember(trx, {
        courierId: member.courierId,
        days,
        everything: scope.case === "everything",
        anyDay: scope.case === "moment" && scope.moment.isAnyDayEnough,
        groupRunId: runId,
        filesWaitUntil: waitUntil,
        ingestOnly: runType === "source",
      }),
    );
    await trx
      .insertInto("group_run_member")
      .values({
        tenant,
        run_id: runId,
        position,
        courier_id: member.courierId,
        courier_name: name,
        start_date: days.startDate,
        end_date: days.endDate,
        wait_until: waitUntil,
        notify_when_missing: member.notifyWhenMissing,
        stop_when_missing: member.stopWhenMissing,
        workflow_id: started.workflowId ?? null,
        problem: started.problem ?? null,
      })
      .execute();
    if (started.problem === undefined) continue;
    problems.push({
      kind: Notification_Kind.WORKFLOW_FAILED,
      message: `Courier ${name} of group ${group.name} could not be started: ${started.problem}`,
      courierId: member.courierId,
      courierName: name,
      groupRunId: runId,
      groupId: group.id,
      groupName: group.name,
    });
  }
  return problems;
}

/** The tables that the run publishes anew when its couriers have ended well. */
async function writeRefreshes(
  trx: Trx,
  tenant: Tenant,
  { id: runId, group: { customDomainTableIds: ids } }: NewRun,
): Promise<void> {
  if (ids.length === 0) return;
  const rows = await selectCustomTables(trx, tenant)
    .where("custom_domain_table.id", "in", ids)
    .execute();
  const tables = new Map(rows.map((row) => [row.id, row]));
  await trx
    .insertInto("group_run_refresh")
    .values(
      ids.map((id, position) => ({
        tenant,
        run_id: runId,
        position,
        custom_table_id: id,
        source: tables.get(id)?.source ?? "",
        name: tables.get(id)?.name ?? "",
        workflow_id: null,
        problem: null,
      })),
    )
    .execute();
}

/** Starts a workflow, or says why it can't be. */
export async function startOrExplain(
  start: () => Promise<string>,
): Promise<{ readonly workflowId?: string; readonly problem?: string }> {
  try {
    return { workflowId: await start() };
  } catch (error) {
    const isExpected =
      error instanceof ConnectError &&
      (error.code === Code.FailedPrecondition || error.code === Code.NotFound);
    if (!isExpected) throw error;
    return { problem: error.rawMessage };
  }
}

async function courierNames(
  trx: Trx,
  tenant: Tenant,
  members: readonly GroupMember[],
): Promise<ReadonlyMap<string, string>> {
  const ids = members.map((member) => member.courierId);
  const rows = await trx
    .selectFrom("courier")
    .select(["id", "name"])
    .where("tenant", "=", tenant)
    .where("id", "in", ids)
    .execute();
  return new Map(rows.map((row) => [row.id, row.name]));
}
