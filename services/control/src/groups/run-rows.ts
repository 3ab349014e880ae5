import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GroupRun,
  type GroupRunMember,
  GroupRunMemberSchema,
  GroupRunSchema,
} from "@sluice/api/control/v1/group_run_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type {
  GroupRunMemberTable,
  GroupRunTable,
  Schema,
  WorkflowTable,
} from "../database/schema.ts";
import { failureFromJson } from "../workflow/failure.ts";
import { isMissingFile } from "../workflow/file-wait.ts";
import { isSettled, type MemberFacts, memberState, runState } from "./run-state.ts";

export type RunRow = Selectable<GroupRunTable>;

/** A courier of a run with what its workflow has come to. */
export interface RunMember extends MemberFacts {
  readonly row: MemberRow;
}

type MemberRow = Selectable<GroupRunMemberTable> & {
  readonly state: Selectable<WorkflowTable>["state"] | null;
  readonly failure: Selectable<WorkflowTable>["failure"];
  readonly end_time: Date | null;
  readonly is_waiting: boolean | null;
};

/** The couriers of runs, by the run's id, in the group's order. */
export async function readMembers(
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

function toMember(row: MemberRow): RunMember {
  return {
    row,
    workflowState: row.state ?? undefined,
    isWaitingForFiles: row.is_waiting === true,
    isMissingFiles: row.failure !== null && isMissingFile(failureFromJson(row.failure)),
    stopWhenMissing: row.stop_when_missing,
  };
}

/** A run as the API gives it. */
export function toGroupRun(row: RunRow, members: readonly RunMember[]): GroupRun {
  const ends = members.flatMap((member) => member.row.end_time?.getTime() ?? []);
  const end = Math.max(row.create_time.getTime(), ...ends);
  return create(GroupRunSchema, {
    id: row.id,
    groupId: row.group_id,
    groupName: row.group_name,
    state: runState(members, row.stop_reason),
    members: members.map(toMemberMessage),
    createTime: timestampFromDate(row.create_time),
    ...(row.fire_time === null ? {} : { fireTime: timestampFromDate(row.fire_time) }),
    ...(isSettled(members) ? { endTime: timestampFromDate(new Date(end)) } : {}),
  });
}

function toMemberMessage(member: RunMember): GroupRunMember {
  const { row } = member;
  return create(GroupRunMemberSchema, {
    courierId: row.courier_id,
    courierName: row.courier_name,
    workflowId: row.workflow_id ?? "",
    state: memberState(member),
    startDate: row.start_date,
    endDate: row.end_date,
    waitUntil: timestampFromDate(row.wait_until),
    problem: row.problem ?? "",
    ...(row.failure === null ? {} : { failure: failureFromJson(row.failure) }),
  });
}
