import { type Kysely, sql } from "kysely";
import type { AuditEventTable, Schema } from "../database/schema.ts";

export type ActorKind = AuditEventTable["actor_kind"];

/** What is written down of a call: ids alone, never what a request holds. */
export interface AuditEntry {
  readonly tenant: string;
  readonly actorKind: ActorKind;
  readonly actor: string;
  /** Empty when a refused credential has none. */
  readonly role: AuditEventTable["role"];
  /** Service/Method. */
  readonly method: string;
  /** The id of what was changed or made; empty when there is none. */
  readonly resource: string;
  /** "ok", or the code of the error. */
  readonly outcome: string;
  readonly address: string;
}

/** Longer ids are the caller's invention, and are cut. */
const MOST_CHARACTERS = 200;

/** Appends an entry, in the transaction of the change where the caller has one. */
export async function appendAudit(kysely: Kysely<Schema>, entry: AuditEntry): Promise<void> {
  await kysely
    .insertInto("audit_event")
    .values({
      tenant: entry.tenant,
      actor_kind: entry.actorKind,
      actor: shown(entry.actor),
      role: entry.role,
      method: entry.method,
      resource: shown(entry.resource),
      outcome: entry.outcome,
      address: entry.address,
    })
    .execute();
}

/** What is known of a call before anything is done for it. */
export type AuditIntent = Omit<AuditEntry, "outcome">;

/**
 * Writes down that a call with side effects begins, and gives the intent's number. A call that can't be written down is
 * not to be carried out.
 */
export async function beginAudit(kysely: Kysely<Schema>, intent: AuditIntent): Promise<number> {
  const { number } = await kysely
    .insertInto("audit_intent")
    .values({
      tenant: intent.tenant,
      actor_kind: intent.actorKind,
      actor: shown(intent.actor),
      role: intent.role,
      method: intent.method,
      resource: shown(intent.resource),
      address: intent.address,
    })
    .returning("number")
    .executeTakeFirstOrThrow();
  return number;
}

/** Puts the event with its outcome in the place of the intent. */
export async function endAudit(
  kysely: Kysely<Schema>,
  number: number,
  entry: AuditEntry,
): Promise<void> {
  await kysely.transaction().execute(async (trx) => {
    await trx.deleteFrom("audit_intent").where("number", "=", number).execute();
    await appendAudit(trx, entry);
  });
}

/**
 * Makes events of intents that are older than any call may last: their calls were cut off, and what became of them
 * nobody knows. Gives how many there were.
 */
export async function endLostAudits(
  kysely: Kysely<Schema>,
  longestCallMs: number,
): Promise<number> {
  const { rows } = await sql<{ number: number }>`
    with lost as (
      delete from audit_intent
      where time < clock_timestamp() - make_interval(secs => ${longestCallMs / 1000})
      returning *
    )
    insert into audit_event (tenant, time, actor_kind, actor, role, method, resource, outcome, address)
    select tenant, time, actor_kind, actor, role, method, resource, 'unfinished', address
    from lost order by number
    returning number`.execute(kysely);
  return rows.length;
}

/** NUL can't be kept by PostgreSQL, and no id has one. */
function shown(text: string): string {
  return text.replaceAll("\0", "").slice(0, MOST_CHARACTERS);
}
