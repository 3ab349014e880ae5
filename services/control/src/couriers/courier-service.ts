import { clone, create as createMessage, toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import {
  type CourierService,
  type CreateCourierRequest,
  CreateCourierRequestSchema,
  type DeleteCourierRequest,
  type ListCouriersRequest,
  type UpdateCourierRequest,
  UpdateCourierRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import type { Transaction } from "kysely";
import type { ControlContext } from "../context.ts";
import type { Schema } from "../database/schema.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { assertEtag, inUse, notFound } from "../resources/resource-errors.ts";
import { applyMask } from "../resources/update-mask.ts";
import { invalidRequest, violationsBelow } from "../server/field-violations.ts";
import type { Tenant } from "../tenant.ts";
import { backtestPattern } from "./backtest-pattern.ts";
import { copyCourier } from "./copy-courier.ts";
import { assertCourier } from "./courier-checks.ts";
import { courierToJson, readCourier, selectCouriers, toCourier } from "./courier-rows.ts";
import { insertCourier, named, refer } from "./courier-writes.ts";
import { importLegacyCourier } from "./import-legacy-courier.ts";
import { makeNewFeeds } from "./new-feeds.ts";
import { planRun } from "./plan-run.ts";
import { assertQueries } from "./query-checks.ts";

const WRITABLE = ["name", "credential_id", "prefix", "files", "loads"];

/** Couriers: what is brought from where to which feeds. Running them is the workflow engine's. */
export type CourierResources = Omit<ServiceImpl<typeof CourierService>, "runCourier">;

export function createCourierService(context: ControlContext): CourierResources {
  const read = (id: string): Promise<Courier> => readCourier(context.kysely, context.tenant(), id);
  return {
    importLegacyCourier: (request) =>
      importLegacyCourier(context, request, async (courier, requestId) => {
        const made = createMessage(CreateCourierRequestSchema, { courier, requestId });
        return await read(await create(context, made));
      }),
    planRun: async (request) => ({ plan: await planRun(context, request) }),
    backtestPattern: (request) => backtestPattern(context, request),
    copyCourier: async (request) => ({ courier: await read(await copyCourier(context, request)) }),
    createCourier: async (request) => ({ courier: await read(await create(context, request)) }),
    getCourier: async ({ id }) => ({ courier: await read(id) }),
    listCouriers: (request) => list(context, request),
    updateCourier: async (request) => ({ courier: await read(await update(context, request)) }),
    deleteCourier: async (request) => {
      await remove(context, request);
      return {};
    },
    validateIngestQuery: async ({ query }) => {
      const { problems } = await context.inspect.call((client, options) =>
        client.checkIngestQuery({ ...(query === undefined ? {} : { query }) }, options),
      );
      return { problems };
    },
  };
}

async function create(context: ControlContext, request: CreateCourierRequest): Promise<string> {
  const courier = required(request.courier);
  const tenant = context.tenant();
  const call = {
    method: "CreateCourier",
    requestId: request.requestId,
    body: toBinary(CreateCourierRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context, call);
  if (made !== undefined) {
    return made;
  }
  await assertQueries(context, CreateCourierRequestSchema, courier);
  return await makeOnce(context, call, makeId("cour"), async (transaction, id) => {
    await assertCourier(CreateCourierRequestSchema, courier, transaction, tenant);
    await insertCourier(transaction, tenant, id, await makeNewFeeds(transaction, tenant, courier));
  });
}

async function list(
  context: ControlContext,
  request: ListCouriersRequest,
): Promise<{ couriers: Courier[]; nextPageToken: string }> {
  const page = toPage(request, ["couriers", request.feedId]);
  const rows = await selectCouriers(context.kysely, context.tenant())
    .$if(request.feedId !== "", (query) =>
      query.where((row) =>
        row.exists(
          row
            .selectFrom("courier_feed")
            .whereRef("courier_feed.tenant", "=", "courier.tenant")
            .whereRef("courier_feed.courier_id", "=", "courier.id")
            .where("courier_feed.feed_id", "=", request.feedId)
            .select("courier_feed.feed_id"),
        ),
      ),
    )
    .$if(page.after !== undefined, (query) =>
      query.where("courier.name_key", ">", page.after?.[0] ?? ""),
    )
    .orderBy("courier.name_key")
    .limit(page.size + 1)
    .execute();
  const { rows: shown, nextPageToken } = page.cut(rows, (row) => [row.name_key]);
  return { couriers: shown.map(toCourier), nextPageToken };
}

async function update(context: ControlContext, request: UpdateCourierRequest): Promise<string> {
  await checkCourierUpdate(context, request);
  await context.kysely
    .transaction()
    .execute((transaction) => updateCourierIn(transaction, context.tenant(), request));
  return required(request.courier).id;
}

/** What of an UpdateCourier a worker has to judge: not to be waited for in a transaction. */
export async function checkCourierUpdate(
  context: ControlContext,
  request: UpdateCourierRequest,
): Promise<void> {
  await assertQueries(context, UpdateCourierRequestSchema, required(request.courier));
}

/** UpdateCourier in a transaction of the caller's. */
export async function updateCourierIn(
  transaction: Transaction<Schema>,
  tenant: Tenant,
  request: UpdateCourierRequest,
): Promise<void> {
  const asked = required(request.courier);
  const current = await lock(transaction, tenant, asked.id);
  assertEtag("courier", asked.etag, current.etag);
  const changed = clone(CourierSchema, current);
  applyMask(CourierSchema, changed, asked, request.updateMask?.paths ?? [], {
    request: UpdateCourierRequestSchema,
    writable: WRITABLE,
  });
  const violations = violationsBelow(UpdateCourierRequestSchema, "courier", CourierSchema, changed);
  if (violations.length > 0) {
    throw invalidRequest(violations);
  }
  await assertCourier(UpdateCourierRequestSchema, changed, transaction, tenant);
  const kept = await makeNewFeeds(transaction, tenant, changed);
  await named(changed.name, () =>
    transaction
      .updateTable("courier")
      .set({
        name: changed.name,
        name_key: toNameKey(changed.name),
        credential_id: changed.credentialId,
        spec: courierToJson(kept),
        etag: makeEtag(),
        update_time: new Date(),
      })
      .where("tenant", "=", tenant)
      .where("id", "=", asked.id)
      .execute(),
  );
  for (const table of ["courier_feed", "courier_credential"] as const) {
    await transaction
      .deleteFrom(table)
      .where("tenant", "=", tenant)
      .where("courier_id", "=", asked.id)
      .execute();
  }
  await refer(transaction, tenant, asked.id, kept);
}

async function remove(context: ControlContext, request: DeleteCourierRequest): Promise<void> {
  const tenant = context.tenant();
  await context.kysely.transaction().execute(async (transaction) => {
    const current = await lock(transaction, tenant, request.id);
    assertEtag("courier", request.etag, current.etag);
    const groups = await transaction
      .selectFrom("courier_group_member")
      .innerJoin("courier_group", (join) =>
        join
          .onRef("courier_group.tenant", "=", "courier_group_member.tenant")
          .onRef("courier_group.id", "=", "courier_group_member.group_id"),
      )
      .select("courier_group.name")
      .where("courier_group_member.tenant", "=", tenant)
      .where("courier_group_member.courier_id", "=", request.id)
      .orderBy("courier_group.name_key")
      .execute();
    if (groups.length > 0) {
      throw inUse(
        "courier",
        request.id,
        groups.map(({ name }) => `courier group ${name}`),
      );
    }
    await transaction
      .deleteFrom("courier")
      .where("tenant", "=", tenant)
      .where("id", "=", request.id)
      .execute();
  });
}

/** The courier, and nobody else changes it until the transaction ends. */
async function lock(
  transaction: Transaction<Schema>,
  tenant: string,
  id: string,
): Promise<Courier> {
  const row = await transaction
    .selectFrom("courier")
    .select("id")
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) {
    throw notFound("courier", id);
  }
  return await readCourier(transaction, tenant, id);
}

/** Requests are validated before they come here. */
function required(courier: Courier | undefined): Courier {
  if (courier === undefined) {
    throw new Error("a request came through without its courier");
  }
  return courier;
}
