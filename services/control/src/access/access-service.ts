import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { AuditEvent_ActorKind, AuditEventSchema } from "@sluice/api/control/v1/access_pb";
import {
  type AccessService,
  type CreateApiKeyRequest,
  CreateApiKeyRequestSchema,
  type ListApiKeysRequest,
  type ListAuditEventsRequest,
  type RevokeApiKeyRequest,
} from "@sluice/api/control/v1/access_service_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type { AuditEventTable, Schema } from "../database/schema.ts";
import { toPage } from "../resources/page.ts";
import { notFound } from "../resources/resource-errors.ts";
import { refuseField } from "../server/field-violations.ts";
import type { Tenant } from "../tenant.ts";
import { belowNumber } from "../workflow/page-number.ts";
import { makeApiKey, parseApiKey } from "./api-key.ts";
import { insertApiKey, roleName, toApiKey, toRole } from "./api-key-rows.ts";
import { appendAudit } from "./audit-log.ts";
import { ADDRESS, callerOf } from "./caller.ts";

export interface AccessServiceContext {
  readonly kysely: Kysely<Schema>;
  readonly tenant: () => Tenant;
  /** Called with the prefix of a key that was revoked. */
  readonly forgetKey: (prefix: string) => void;
}

type Service = ServiceImpl<typeof AccessService>;

/** API keys and the audit log. */
export function createAccessService(context: AccessServiceContext): Service {
  return {
    createApiKey: (request, call) => createApiKey(context, request, call),
    listApiKeys: (request) => listApiKeys(context, request),
    revokeApiKey: (request, call) => revokeApiKey(context, request, call),
    listAuditEvents: (request) => listAuditEvents(context, request),
  };
}

async function createApiKey(
  { kysely, tenant }: AccessServiceContext,
  request: CreateApiKeyRequest,
  call: HandlerContext,
) {
  const role = roleName(request.role);
  if (role === undefined) {
    refuseField(CreateApiKeyRequestSchema, "role", "role.known", "is not a role");
  }
  const secret = makeApiKey();
  const parsed = parseApiKey(secret);
  if (parsed === undefined) throw new Error("a key was made that is none");
  const row = await kysely.transaction().execute(async (trx) => {
    const made = await insertApiKey(trx, tenant(), parsed, {
      name: request.name,
      role,
      expireTime: request.expireTime === undefined ? null : timestampDate(request.expireTime),
    });
    if (made === undefined) throw new Error("two keys got one prefix");
    await appendAudit(trx, entry(call, "CreateApiKey", made.id));
    return made;
  });
  return { apiKey: toApiKey(row), secret };
}

async function listApiKeys({ kysely, tenant }: AccessServiceContext, request: ListApiKeysRequest) {
  const page = toPage(request, ["api keys"]);
  const below = belowNumber(page);
  const found = await kysely
    .selectFrom("api_key")
    .selectAll()
    .where("tenant", "=", tenant())
    .$if(below !== undefined, (query) => query.where("number", "<", below ?? 0))
    .orderBy("number", "desc")
    .limit(page.size + 1)
    .execute();
  const { rows, nextPageToken } = page.cut(found, (row) => [String(row.number)]);
  return { apiKeys: rows.map(toApiKey), nextPageToken };
}

async function revokeApiKey(
  { kysely, tenant, forgetKey }: AccessServiceContext,
  { id }: RevokeApiKeyRequest,
  call: HandlerContext,
) {
  const row = await kysely.transaction().execute(async (trx) => {
    const revoked = await trx
      .updateTable("api_key")
      .set({ revoke_time: sql<Date>`coalesce(revoke_time, now())` })
      .where("tenant", "=", tenant())
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirst();
    if (revoked === undefined) throw notFound("API key", id);
    await appendAudit(trx, entry(call, "RevokeApiKey", id));
    return revoked;
  });
  forgetKey(row.prefix);
  return { apiKey: toApiKey(row) };
}

async function listAuditEvents(
  { kysely, tenant }: AccessServiceContext,
  request: ListAuditEventsRequest,
) {
  const { actor, resource } = request;
  const page = toPage(request, ["audit events", actor, resource]);
  const below = belowNumber(page);
  const found = await kysely
    .selectFrom("audit_event")
    .selectAll()
    .where("tenant", "=", tenant())
    .$if(actor !== "", (query) => query.where("actor", "=", actor))
    .$if(resource !== "", (query) => query.where("resource", "=", resource))
    .$if(below !== undefined, (query) => query.where("number", "<", below ?? 0))
    .orderBy("number", "desc")
    .limit(page.size + 1)
    .execute();
  const { rows, nextPageToken } = page.cut(found, (row) => [String(row.number)]);
  return { events: rows.map(toAuditEvent), nextPageToken };
}

const ACTOR_KINDS: Readonly<Record<AuditEventTable["actor_kind"], AuditEvent_ActorKind>> = {
  api_key: AuditEvent_ActorKind.API_KEY,
  token: AuditEvent_ActorKind.TOKEN,
  service: AuditEvent_ActorKind.SERVICE,
};

function toAuditEvent(row: Selectable<AuditEventTable>) {
  return create(AuditEventSchema, {
    number: BigInt(row.number),
    time: timestampFromDate(row.time),
    actorKind: ACTOR_KINDS[row.actor_kind],
    actor: row.actor,
    role: toRole(row.role),
    method: row.method,
    resource: row.resource,
    outcome: row.outcome,
    address: row.address,
  });
}

function entry(call: HandlerContext, method: string, resource: string) {
  const { kind, actor, tenant, role } = callerOf(call.values);
  const address = call.values.get(ADDRESS);
  return {
    ...{ tenant, actorKind: kind, actor, role, address, resource },
    method: `AccessService/${method}`,
    outcome: "ok",
  };
}
