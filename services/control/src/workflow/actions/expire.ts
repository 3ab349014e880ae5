import { type Kysely, sql } from "kysely";
import type { Schema } from "../../database/schema.ts";
import { inWorkflow } from "../change.ts";
import type { EngineContext } from "../context.ts";
import { giveUp } from "./restart-workflow.ts";

/** Lets go of what failed workflows keep that nobody resumed in time. */
export async function giveUpExpired(context: EngineContext): Promise<void> {
  for (const { id } of await expired(context.kysely, context.tenant())) {
    await inWorkflow(context, id, (change) => giveUp(context, change));
    context.log.info({ workflow: id }, "a failed workflow was not resumed in time");
  }
}

async function expired(kysely: Kysely<Schema>, tenant: string): Promise<{ readonly id: string }[]> {
  return await kysely
    .selectFrom("workflow")
    .select("id")
    .where("tenant", "=", tenant)
    .where("state", "=", "failed")
    .where("expire_time", "<", sql<Date>`clock_timestamp()`)
    .limit(100)
    .execute();
}
