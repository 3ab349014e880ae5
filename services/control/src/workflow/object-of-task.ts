import { type RawBuilder, sql } from "kysely";
import type { Change } from "./change.ts";

/**
 * The object of the frozen manifest that a load is of, as `object`: to be joined with rows of `task`, which comes before it.
 *
 * OFFSET 0 has PostgreSQL look it up by its place for each task. Joined freely, a workflow that was written just now, of
 * which there are no statistics yet, is taken for one row on both sides, and each task is compared with each object: with
 * 5,000 files that took half a minute, twice in a run.
 */
export const OBJECT_OF_TASK: RawBuilder<unknown> = sql`lateral (
  select * from manifest_object as placed
  where placed.tenant = task.tenant and placed.workflow_id = task.workflow_id
    and placed.page = task.page and placed.position = task.position
  offset 0) as object`;

/** Below so many objects a nested loop is never long, and may spare reading the whole registry of a feed. */
const MANY_OBJECTS = 100;

/**
 * For the rest of a transaction about so many objects: joins of all of them with all others are made by hashing. For the
 * same reason as above, PostgreSQL would compare each with each.
 */
export async function joinByHash({ trx }: Change, objects: number): Promise<void> {
  if (objects < MANY_OBJECTS) return;
  await sql`select set_config('enable_nestloop', 'off', true)`.execute(trx);
}
