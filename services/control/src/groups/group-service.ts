import { clone, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { type CourierGroup, CourierGroupSchema } from "@sluice/api/control/v1/courier_group_pb";
import {
  type CourierGroupService,
  type CreateCourierGroupRequest,
  CreateCourierGroupRequestSchema,
  type DeleteCourierGroupRequest,
  type ListCourierGroupsRequest,
  type UpdateCourierGroupRequest,
  UpdateCourierGroupRequestSchema,
} from "@sluice/api/control/v1/courier_group_service_pb";
import type { Transaction } from "kysely";
import type { Schema } from "../database/schema.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { assertEtag, isViolationOf, nameTaken } from "../resources/resource-errors.ts";
import { applyMask, isMasked } from "../resources/update-mask.ts";
import { invalidRequest, violationsBelow } from "../server/field-violations.ts";
import type { Tenant } from "../tenant.ts";
import { assertGroup } from "./group-checks.ts";
import { refer } from "./group-references.ts";
import { groupToJson, readGroupRow, toCronSchedule, toGroup } from "./group-rows.ts";
import type { GroupContext } from "./groups.ts";
import { nextFire } from "./schedule.ts";

const WRITABLE = [
  "name",
  "schedule",
  "members",
  "runtime_alert",
  "only_past_day",
  "custom_domain_table_ids",
];

/** Groups as resources; their runs are group-run-service.ts. */
export type GroupResources = Pick<
  ServiceImpl<typeof CourierGroupService>,
  | "createCourierGroup"
  | "getCourierGroup"
  | "listCourierGroups"
  | "updateCourierGroup"
  | "deleteCourierGroup"
  | "pauseCourierGroup"
  | "resumeCourierGroup"
>;

export function createGroupResources(context: GroupContext): GroupResources {
  const read = async (id: string): Promise<CourierGroup> =>
    toGroup(await readGroupRow(context.kysely, context.tenant(), id));
  const changed = async (id: string): Promise<{ courierGroup: CourierGroup }> => {
    context.scheduleBell.ring();
    return { courierGroup: await read(id) };
  };
  return {
    createCourierGroup: async (request) => await changed(await createGroup(context, request)),
    getCourierGroup: async ({ id }) => ({ courierGroup: await read(id) }),
    listCourierGroups: (request) => list(context, request),
    updateCourierGroup: async (request) => await changed(await update(context, request)),
    deleteCourierGroup: async (request) => {
      await remove(context, request);
      return {};
    },
    pauseCourierGroup: async (request) => await changed(await activate(context, request, false)),
    resumeCourierGroup: async (request) => await changed(await activate(context, request, true)),
  };
}

async function createGroup(
  context: GroupContext,
  request: CreateCourierGroupRequest,
): Promise<string> {
  const group = required(request.courierGroup);
  const tenant = context.tenant();
  const call = {
    method: "CreateCourierGroup",
    requestId: request.requestId,
    body: toBinary(CreateCourierGroupRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context, call);
  if (made !== undefined) return made;
  return await makeOnce(context, call, makeId("group"), async (trx, id) => {
    const now = new Date();
    await assertGroup(CreateCourierGroupRequestSchema, group, trx, tenant, now);
    await named(group.name, () =>
      trx
        .insertInto("courier_group")
        .values({
          tenant,
          id,
          name: group.name,
          name_key: toNameKey(group.name),
          spec: groupToJson(group),
          next_fire_time: nextFireOf(group, now),
          etag: makeEtag(),
        })
        .execute(),
    );
    await refer(trx, tenant, id, group);
  });
}

async function list(
  context: GroupContext,
  request: ListCourierGroupsRequest,
): Promise<{ courierGroups: CourierGroup[]; nextPageToken: string }> {
  const page = toPage(request, ["courier groups", request.courierId]);
  const rows = await context.kysely
    .selectFrom("courier_group")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .$if(request.courierId !== "", (query) =>
      query.where((row) =>
        row.exists(
          row
            .selectFrom("courier_group_member")
            .whereRef("courier_group_member.tenant", "=", "courier_group.tenant")
            .whereRef("courier_group_member.group_id", "=", "courier_group.id")
            .where("courier_group_member.courier_id", "=", request.courierId)
            .select("courier_group_member.courier_id"),
        ),
      ),
    )
    .$if(page.after !== undefined, (query) => query.where("name_key", ">", page.after?.[0] ?? ""))
    .orderBy("name_key")
    .limit(page.size + 1)
    .execute();
  const { rows: shown, nextPageToken } = page.cut(rows, (row) => [row.name_key]);
  return { courierGroups: shown.map(toGroup), nextPageToken };
}

async function update(context: GroupContext, request: UpdateCourierGroupRequest): Promise<string> {
  const asked = required(request.courierGroup);
  const tenant = context.tenant();
  await context.kysely.transaction().execute(async (trx) => {
    const row = await readGroupRow(trx, tenant, asked.id, { lock: true });
    assertEtag("courier group", asked.etag, row.etag);
    const group = clone(CourierGroupSchema, toGroup(row));
    const paths = applyMask(CourierGroupSchema, group, asked, request.updateMask?.paths ?? [], {
      request: UpdateCourierGroupRequestSchema,
      writable: WRITABLE,
    });
    const violations = violationsBelow(
      UpdateCourierGroupRequestSchema,
      "courier_group",
      CourierGroupSchema,
      group,
    );
    if (violations.length > 0) throw invalidRequest(violations);
    const now = new Date();
    await assertGroup(UpdateCourierGroupRequestSchema, group, trx, tenant, now);
    const isRescheduled = paths.some(
      (path) => path.startsWith("schedule.") || isMasked([path], "schedule"),
    );
    await named(group.name, () =>
      write(trx, tenant, group, isRescheduled ? nextFireOf(group, now) : row.next_fire_time),
    );
    await refer(trx, tenant, asked.id, group);
  });
  return asked.id;
}

async function activate(
  context: GroupContext,
  request: { readonly id: string; readonly etag: string },
  isActive: boolean,
): Promise<string> {
  const tenant = context.tenant();
  await context.kysely.transaction().execute(async (trx) => {
    const row = await readGroupRow(trx, tenant, request.id, { lock: true });
    assertEtag("courier group", request.etag, row.etag);
    const group = toGroup(row);
    if (group.schedule === undefined) {
      throw new ConnectError(
        `courier group ${group.name} has no schedule: give it one first`,
        Code.FailedPrecondition,
      );
    }
    if (group.schedule.active === isActive) return;
    group.schedule.active = isActive;
    await write(trx, tenant, group, nextFireOf(group, new Date()));
  });
  return request.id;
}

async function remove(context: GroupContext, request: DeleteCourierGroupRequest): Promise<void> {
  const tenant = context.tenant();
  await context.kysely.transaction().execute(async (trx) => {
    const row = await readGroupRow(trx, tenant, request.id, { lock: true });
    assertEtag("courier group", request.etag, row.etag);
    await trx
      .deleteFrom("courier_group")
      .where("tenant", "=", tenant)
      .where("id", "=", request.id)
      .execute();
  });
}

async function write(
  trx: Transaction<Schema>,
  tenant: Tenant,
  group: CourierGroup,
  nextFireTime: Date | null,
): Promise<void> {
  await trx
    .updateTable("courier_group")
    .set({
      name: group.name,
      name_key: toNameKey(group.name),
      spec: groupToJson(group),
      next_fire_time: nextFireTime,
      etag: makeEtag(),
      update_time: new Date(),
    })
    .where("tenant", "=", tenant)
    .where("id", "=", group.id)
    .execute();
}

/** When a group fires next after now; null when it does not. */
function nextFireOf({ schedule }: CourierGroup, now: Date): Date | null {
  if (schedule?.active !== true) return null;
  return nextFire(toCronSchedule(schedule), now) ?? null;
}

/** Runs a write that may meet another group of the same name. */
async function named(name: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw isViolationOf(error, "courier_group_name_taken")
      ? nameTaken("courier group", name)
      : error;
  }
}

/** Requests are validated before they come here. */
function required(group: CourierGroup | undefined): CourierGroup {
  if (group === undefined) throw new Error("a request came through without its courier group");
  return group;
}
