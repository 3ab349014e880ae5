import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GroupRun,
  type GroupRunMember,
  GroupRunMemberSchema,
  type GroupRunRefresh,
  GroupRunRefreshSchema,
  GroupRunSchema,
} from "@sluice/api/control/v1/group_run_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type {
  GroupRunMemberTable,
  GroupRunRefreshTable,
  GroupRunTable,
  Schema,
  WorkflowTable,
} from "../database/schema.ts";
import { failureFromJson } from "../workflow/failure.ts";
import { isMissingFile } from "../workflow/file-wait.ts";
import {
  isSettled,
  type RefreshFacts,
  type RunFacts,
  refreshOutcomes,
  runState,
} from "./refresh-state.ts";
import { type MemberFacts, memberState } from "./run-state.ts";
import { toRunType } from "./run-type.ts";

export type RunRow = Selectable<GroupRunTable>;

/** A courier of a run with what its workflow has come to. */
export interface RunMember extends MemberFacts {
  readonly row: MemberRow;
}

/** A custom domain table of a run with what its workflow has come to. */
export interface RunRefresh extends RefreshFacts {
  readonly row: RefreshRow;
}

/** A run with all that decides how far it is. */
export interface Run extends RunFacts {
  readonly row: RunRow;
  readonly members: readonly RunMember[];
  readonly refreshes: readonly RunRefresh[];
}

type RefreshRow = Selectable<GroupRunRefreshTable> & {
  readonly state: Selectable<WorkflowTable>["state"] | null;
  readonly failure: Selectable<WorkflowTable>["failure"];
  readonly end_time: Date | null;
};

type MemberRow = Selectable<GroupRunMemberTable> & {
  readonly state: Selectable<WorkflowTable>["state"] | null;
  readonly failure: Selectable<WorkflowTable>["failure"];
  readonly end_time: Date | null;
  readonly is_waiting: boolean | null;
  readonly workflow_start_date: string | null;
  readonly workflow_end_date: string | null;
};

/** Runs, each with all that decides how far it is. */
export async function readRuns(
  kysely: Kysely<Schema>,
  tenant: string,
  rows: readonly RunRow[],
): Promise<Run[]> {
  const ids = rows.map(({ id }) => id);
  const members = await readMembers(kysely, tenant, ids);
  const refreshes = await readRefreshes(kysely, tenant, ids);
  return rows.map((row) => ({
    row,
    members: members.get(row.id) ?? [],
    refreshes: refreshes.get(row.id) ?? [],
    stopReason: row.stop_reason,
  }));
}

/** The couriers of runs, by the run's id, in the group's order. */
async function readMembers(
  kysely: Kysely<Schema>,
  tenant: string,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, readonly RunMember[]>> {
  const members = new Map<string, RunMember[]>(runIds.map((id) => [id, []]));
  if (runIds.length === 0) return members;
  const rows = await kysely
    .selectFrom("group_run_member")
    .leftJoin("workflow", (join) =>
      join
        .onRef("workflow.tenant", "=", "group_run_member.tenant")
        .onRef("workflow.id", "=", "group_run_member.workflow_id"),
    )
    .selectAll("group_run_member")
    .select(["workflow.state", "workflow.failure", "workflow.end_time"])
    .select(["workflow.start_date as workflow_start_date"])
    .select(["workflow.end_date as workflow_end_date"])
    .select(
      sql<boolean | null>`exists (select from task
        where task.tenant = workflow.tenant and task.workflow_id = workflow.id
          and task.kind = 'list' and task.state in ('waiting', 'running') and task.waits > 0)`.as(
        "is_waiting",
      ),
    )
    .where("group_run_member.tenant", "=", tenant)
    .where("group_run_member.run_id", "in", runIds)
    .orderBy("group_run_member.position")
    .execute();
  for (const row of rows) members.get(row.run_id)?.push(toMember(row));
  return members;
}

/** The custom domain tables of runs, by the run's id, in the group's order. */
async function readRefreshes(
  kysely: Kysely<Schema>,
  tenant: string,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, readonly RunRefresh[]>> {
  const refreshes = new Map<string, RunRefresh[]>(runIds.map((id) => [id, []]));
  if (runIds.length === 0) return refreshes;
  const rows = await kysely
    .selectFrom("group_run_refresh")
    .leftJoin("workflow", (join) =>
      join
        .onRef("workflow.tenant", "=", "group_run_refresh.tenant")
        .onRef("workflow.id", "=", "group_run_refresh.workflow_id"),
    )
    .selectAll("group_run_refresh")
    .select(["workflow.state", "workflow.failure", "workflow.end_time"])
    .where("group_run_refresh.tenant", "=", tenant)
    .where("group_run_refresh.run_id", "in", runIds)
    .orderBy("group_run_refresh.position")
    .execute();
  for (const row of rows) {
    refreshes.get(row.run_id)?.push({
      row,
      table: `${row.source}.${row.name}`,
      workflowState: row.state ?? undefined,
      problem: row.problem,
    });
  }
  return refreshes;
}

function toMember(row: MemberRow): RunMember {
  return {
    row,
    name: row.courier_name,
    workflowState: row.state ?? undefined,
    isWaitingForFiles: row.is_waiting === true,
    isMissingFiles: row.failure !== null && isMissingFile(failureFromJson(row.failure)),
    stopWhenMissing: row.stop_when_missing,
  };
}

/** A run as the API gives it. */
export function toGroupRun(run: Run): GroupRun {
  const { row, members, refreshes } = run;
  const ends = [...members, ...refreshes].flatMap((part) => part.row.end_time?.getTime() ?? []);
  const end = Math.max(row.create_time.getTime(), ...ends);
  return create(GroupRunSchema, {
    id: row.id,
    groupId: row.group_id,
    groupName: row.group_name,
    state: runState(run),
    members: members.map(toMemberMessage),
    refreshes: toRefreshMessages(run),
    runType: toRunType(row.run_type),
    everything: row.everything,
    createTime: timestampFromDate(row.create_time),
    ...(row.fire_time === null ? {} : { fireTime: timestampFromDate(row.fire_time) }),
    ...(isSettled(run) ? { endTime: timestampFromDate(new Date(end)) } : {}),
  });
}

function toRefreshMessages(run: Run): GroupRunRefresh[] {
  const outcomes = refreshOutcomes(run);
  return run.refreshes.map(({ row }, index) =>
    create(GroupRunRefreshSchema, {
      customDomainTableId: row.custom_table_id,
      source: row.source,
      name: row.name,
      workflowId: row.workflow_id ?? "",
      ...outcomes[index],
      ...(row.failure === null ? {} : { failure: failureFromJson(row.failure) }),
    }),
  );
}

function toMemberMessage(member: RunMember): GroupRunMember {
  const { row } = member;
  return create(GroupRunMemberSchema, {
    courierId: row.courier_id,
    courierName: row.courier_name,
    workflowId: row.workflow_id ?? "",
    state: memberState(member),
    // Those of a run of everything are known once its files are.
    startDate: row.workflow_start_date ?? row.start_date,
    endDate: row.workflow_end_date ?? row.end_date,
    waitUntil: timestampFromDate(row.wait_until),
    problem: row.problem ?? "",
    ...(row.failure === null ? {} : { failure: failureFromJson(row.failure) }),
  });
}
