import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { Schema } from "./database/schema.ts";
import type { Tenant } from "./tenant.ts";

/** A worker that has not asked for work for so long is taken for gone. */
const LIVE_FOR_SECONDS = 90;

/** A worker claims tasks many times a second; that it lives is kept so often. */
const RECORD_EVERY_MS = 10_000;

/** Workers are the installation's: they work for every tenant. */
export const EVERY_TENANT: Tenant = "*";

/**
 * Keeps that a worker is alive, and where it serves InspectService. Called whenever it claims tasks.
 * `inspectUrl` is empty when it serves none. In the database, so that every replica knows.
 */
export async function recordWorker(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
  inspectUrl: string,
): Promise<void> {
  await kysely
    .insertInto("worker")
    .values({ tenant, id, inspect_url: inspectUrl })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant", "id"])
        .doUpdateSet({ inspect_url: inspectUrl, seen_time: sql<Date>`now()` }),
    )
    .execute();
  // Workers take a new id at every start: without this the table would grow for ever.
  await kysely
    .deleteFrom("worker")
    .where("tenant", "=", tenant)
    .where("seen_time", "<", sql<Date>`now() - interval '1 day'`)
    .execute();
}

/** `recordWorker` for every claim: what was kept a moment ago is not kept again. */
export function createWorkerRecorder(
  kysely: Kysely<Schema>,
  tenant: Tenant,
): (id: string, inspectUrl: string) => Promise<void> {
  const kept = new Map<string, { readonly inspectUrl: string; readonly until: number }>();
  return async (id, inspectUrl) => {
    const now = performance.now();
    const last = kept.get(id);
    if (last !== undefined && last.inspectUrl === inspectUrl && now < last.until) return;
    await recordWorker(kysely, tenant, id, inspectUrl);
    for (const [other, { until }] of kept) if (until < now) kept.delete(other);
    kept.set(id, { inspectUrl, until: now + RECORD_EVERY_MS });
  };
}

/** Where live workers serve InspectService, the one seen last first; at most three. */
export async function liveInspectUrls(kysely: Kysely<Schema>, tenant: Tenant): Promise<string[]> {
  const rows = await kysely
    .selectFrom("worker")
    .select("inspect_url")
    .where("tenant", "=", tenant)
    .where("inspect_url", "<>", "")
    .where("seen_time", ">", sql<Date>`now() - make_interval(secs => ${LIVE_FOR_SECONDS})`)
    .groupBy("inspect_url")
    .orderBy((row) => row.fn.max("seen_time"), "desc")
    .limit(3)
    .execute();
  return rows.map((row) => row.inspect_url);
}
