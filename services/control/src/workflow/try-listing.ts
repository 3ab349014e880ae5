import type { ManifestObject } from "@sluice/api/ingest/v1/task_pb";
import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";
import { makeId } from "../resources/identity.ts";
import type { Tenant } from "../tenant.ts";
import { insertWorkflow, type NewWorkflow } from "./begin-workflow.ts";
import type { Change } from "./change.ts";
import type { Trx } from "./context.ts";
import { countLoads } from "./effects.ts";
import { type FoundFiles, warnOfSameContent, warnOfUnloaded } from "./file-warnings.ts";
import { noteUnchanged } from "./loaded-files.ts";
import { insertObjects } from "./manifest.ts";
import { NEW_WORKFLOW } from "./state-machine.ts";

/** What would become of a listing. */
export interface TriedListing {
  /** By feed. */
  readonly found: ReadonlyMap<string, FoundFiles>;
  /** The feeds that have an object's rows already, by the object's place in the listing. */
  readonly unchanged: ReadonlyMap<number, readonly string[]>;
  readonly warnings: readonly string[];
}

/**
 * Does with the objects of a listing what a run would do, by the run's own code, and undoes it: nothing of it is ever
 * seen by anybody.
 */
export async function tryListing(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  run: NewWorkflow,
  objects: readonly ManifestObject[],
): Promise<TriedListing> {
  const undo = new Error("a try is undone");
  let tried: TriedListing | undefined;
  try {
    await kysely.transaction().execute(async (trx) => {
      tried = await listed(trx, tenant, run, objects);
      throw undo;
    });
  } catch (error) {
    if (error !== undo) throw error;
  }
  if (tried === undefined) throw new Error("a try ended without an outcome");
  return tried;
}

async function listed(
  trx: Trx,
  tenant: Tenant,
  run: NewWorkflow,
  objects: readonly ManifestObject[],
): Promise<TriedListing> {
  const id = makeId("wf");
  await insertWorkflow(trx, tenant, id, run);
  await insertObjects(trx, { tenant, workflow_id: id, attempt: 1, page: 0 }, objects);
  const workflow = await trx
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  const warnings: string[] = [];
  const change: Change = {
    trx,
    tenant,
    workflow,
    revision: 2,
    condition: NEW_WORKFLOW,
    set: { changed: false, warnings, bytesRead: 0, bytesTotal: 0, rows: 0, rejectedRows: 0 },
    tasksReady: false,
    delaysMs: [],
  };
  await noteUnchanged(change, run.plan);
  const found = await countLoads(change, run.plan);
  for (const [feedId, files] of found) {
    warnOfUnloaded(change, run.plan, feedId, files);
    if (files.loads > 0) await warnOfSameContent(change, run.plan, feedId);
  }
  const unchanged = new Map<number, string[]>();
  const rows = await trx
    .selectFrom("unchanged_object")
    .select(["feed_id", "position"])
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", id)
    .orderBy("feed_id")
    .execute();
  for (const { feed_id, position } of rows) {
    unchanged.set(position, [...(unchanged.get(position) ?? []), feed_id]);
  }
  return { found, unchanged, warnings };
}
