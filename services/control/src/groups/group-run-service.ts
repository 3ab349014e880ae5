import { toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { CourierGroup } from "@sluice/api/control/v1/courier_group_pb";
import {
  type CourierGroupService,
  type ListCourierGroupRunsRequest,
  type RunCourierGroupRequest,
  RunCourierGroupRequestSchema,
} from "@sluice/api/control/v1/courier_group_service_pb";
import type { GroupRun } from "@sluice/api/control/v1/group_run_pb";
import { makeId } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { makeOnce } from "../resources/request-id.ts";
import { notFound } from "../resources/resource-errors.ts";
import { refuseField } from "../server/field-violations.ts";
import { belowNumber } from "../workflow/page-number.ts";
import { readGroupRow, timeZoneOf, toGroup } from "./group-rows.ts";
import { beginRun } from "./group-run.ts";
import type { GroupContext } from "./groups.ts";
import { momentOf } from "./run-moment.ts";
import { readRuns, toGroupRun } from "./run-rows.ts";
import { namedScope, type RunScope } from "./run-scope.ts";
import { fromRunType, type RunTypeName, runTypeFault } from "./run-type.ts";
import { stopRun } from "./scheduler.ts";

/** Runs of groups, and running them by hand. */
export type GroupRuns = Pick<
  ServiceImpl<typeof CourierGroupService>,
  "runCourierGroup" | "getCourierGroupRun" | "listCourierGroupRuns" | "cancelCourierGroupRun"
>;

export function createGroupRuns(context: GroupContext): GroupRuns {
  return {
    runCourierGroup: async (request) => ({
      groupRun: await readRun(context, await runNow(context, request)),
    }),
    getCourierGroupRun: async ({ id }) => ({ groupRun: await readRun(context, id) }),
    listCourierGroupRuns: (request) => list(context, request),
    cancelCourierGroupRun: async ({ id }) => {
      await readRun(context, id);
      await stopRun(context, id, "asked");
      return { groupRun: await readRun(context, id) };
    },
  };
}

async function runNow(context: GroupContext, request: RunCourierGroupRequest): Promise<string> {
  const tenant = context.tenant();
  const call = {
    method: "RunCourierGroup",
    requestId: request.requestId,
    body: toBinary(RunCourierGroupRequestSchema, { ...request, requestId: "" }),
  };
  const ownId = makeId("grun");
  const id = await makeOnce(context, call, ownId, async (trx, runId) => {
    const row = await readGroupRow(trx, tenant, request.id);
    const group = toGroup(row);
    const runType = fromRunType(request.runType);
    await beginRun(context, trx, tenant, runId, {
      group,
      fireTime: undefined,
      runType,
      scope: askedScope(request, { group, runType, lastFireTime: row.last_fire_time }),
    });
  });
  if (id === ownId) {
    context.engine.ringTasks();
    context.newsRing();
    context.scheduleBell.ring();
  }
  return id;
}

/** For which days the couriers look that somebody runs; undefined for a refresh, which takes none. */
function askedScope(
  request: RunCourierGroupRequest,
  run: {
    readonly group: CourierGroup;
    readonly runType: RunTypeName;
    readonly lastFireTime: Date | null;
  },
): RunScope | undefined {
  const { group, runType, lastFireTime } = run;
  const fault = runTypeFault(runType, group);
  if (fault !== undefined) {
    refuseField(RunCourierGroupRequestSchema, "run_type", fault.rule, fault.message);
  }
  const now = new Date();
  const named = namedScope(request, timeZoneOf(group), now);
  if (runType !== "refresh") {
    return named ?? { case: "moment", moment: momentOf(group, now, lastFireTime) };
  }
  if (request.scope.case === undefined) return undefined;
  const why = "a run of type refresh loads no files: name no days, or another run_type";
  refuseField(RunCourierGroupRequestSchema, request.scope.case, "run_type.no_days", why);
}

async function readRun(context: GroupContext, id: string): Promise<GroupRun> {
  const tenant = context.tenant();
  const row = await context.kysely
    .selectFrom("group_run")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined) throw notFound("group run", id);
  const [run] = await readRuns(context.kysely, tenant, [row]);
  if (run === undefined) throw notFound("group run", id);
  return toGroupRun(run);
}

async function list(
  context: GroupContext,
  request: ListCourierGroupRunsRequest,
): Promise<{ groupRuns: GroupRun[]; nextPageToken: string }> {
  const page = toPage(request, ["group runs", request.groupId]);
  const below = belowNumber(page);
  const tenant = context.tenant();
  const found = await context.kysely
    .selectFrom("group_run")
    .selectAll()
    .where("tenant", "=", tenant)
    .$if(request.groupId !== "", (query) => query.where("group_id", "=", request.groupId))
    .$if(below !== undefined, (query) => query.where("number", "<", below ?? 0))
    .orderBy("number", "desc")
    .limit(page.size + 1)
    .execute();
  const { rows, nextPageToken } = page.cut(found, (row) => [String(row.number)]);
  const runs = await readRuns(context.kysely, tenant, rows);
  return { groupRuns: runs.map(toGroupRun), nextPageToken };
}
