import type { Kysely } from "kysely";
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

/** NUL can't be kept by PostgreSQL, and no id has one. */
function shown(text: string): string {
  return text.replaceAll("\0", "").slice(0, MOST_CHARACTERS);
}
