import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { Schema } from "../database/schema.ts";
import type { Tenant } from "../tenant.ts";
import { hashSecret, isSecretOf, parseApiKey } from "./api-key.ts";
import type { ApiKeyRow } from "./api-key-rows.ts";
import { type Caller, notValid, RefusedCredential } from "./caller.ts";

/** Looks keys up, and remembers for a while what it found. */
export interface ApiKeyCheck {
  /** Who calls with this key. When it opens nothing UNAUTHENTICATED, or RefusedCredential where the prefix is known. */
  check(text: string): Promise<Caller>;
  /** Forgets a key, so that its next use looks again. */
  forget(prefix: string): void;
}

export interface ApiKeyCheckOptions {
  readonly kysely: Kysely<Schema>;
  /** Keys of other tenants open nothing. */
  readonly tenants: ReadonlySet<Tenant>;
  /** How long another replica's revocation may stay unseen. Default 30,000; a promise of the API says 60,000. */
  readonly rememberMs?: number;
}

/** `last_use_time` is kept to a minute, so that reading is not writing. */
const LAST_USE_MS = 60_000;

export function createApiKeyCheck(options: ApiKeyCheckOptions): ApiKeyCheck {
  const { kysely, tenants, rememberMs = 30_000 } = options;
  // Only keys that exist are remembered: guesses can't fill it.
  const known = new Map<string, { readonly row: ApiKeyRow; readonly readAt: number }>();
  const nobody = hashSecret("");

  async function find(prefix: string): Promise<ApiKeyRow | undefined> {
    const seen = known.get(prefix);
    if (seen !== undefined && performance.now() - seen.readAt < rememberMs) return seen.row;
    const readAt = performance.now();
    const row = await kysely
      .selectFrom("api_key")
      .selectAll()
      .where("prefix", "=", prefix)
      .executeTakeFirst();
    if (row === undefined) known.delete(prefix);
    else known.set(prefix, { row, readAt });
    return row;
  }

  async function markUse(row: ApiKeyRow): Promise<void> {
    const last = row.last_use_time?.getTime() ?? 0;
    if (Date.now() - last < LAST_USE_MS) return;
    row.last_use_time = new Date();
    await kysely
      .updateTable("api_key")
      .set({ last_use_time: sql<Date>`now()` })
      .where("tenant", "=", row.tenant)
      .where("id", "=", row.id)
      .execute();
  }

  return {
    async check(text) {
      const key = parseApiKey(text);
      if (key === undefined) throw notValid();
      const row = await find(key.prefix);
      const isSecret = isSecretOf(row?.hash ?? nobody, key.secret);
      if (row === undefined || !tenants.has(row.tenant)) throw notValid();
      const caller: Caller = {
        kind: "api_key",
        actor: row.id,
        tenant: row.tenant,
        role: row.role,
      };
      if (!isSecret) throw new RefusedCredential(notValid().rawMessage, caller);
      // Whoever holds the whole key may know why it opens nothing.
      if (row.revoke_time !== null) throw new RefusedCredential("the API key was revoked", caller);
      if (row.expire_time !== null && row.expire_time.getTime() <= Date.now()) {
        throw new RefusedCredential("the API key has expired", caller);
      }
      await markUse(row);
      return caller;
    },
    forget: (prefix) => void known.delete(prefix),
  };
}
