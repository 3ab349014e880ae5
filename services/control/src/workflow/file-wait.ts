import { Stage, type StageFailure } from "@sluice/api/control/v1/failure_pb";
import { sql } from "kysely";
import type { Change } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";

/** Whether a list ended because a file that is required is not there. */
export function isMissingFile(failure: Pick<StageFailure, "stage" | "code">): boolean {
  return failure.stage === Stage.LIST && failure.code === "file_not_found";
}

/** An archive by another name does not keep the right one from coming. */
function mayStillCome(failure: StageFailure): boolean {
  return isMissingFile(failure) || failure.code === "name_mismatch";
}

/**
 * How long to wait before a list that missed files looks again; undefined when nothing is waited for. The
 * last look comes when the wait is over, not before.
 */
export async function fileWaitMs(
  context: EngineContext,
  { trx, tenant, workflow }: Change,
  task: TaskRow,
  failure: StageFailure,
): Promise<number | undefined> {
  if (task.kind !== "list" || workflow.files_wait_until === null || !mayStillCome(failure)) {
    return undefined;
  }
  const { left } = await trx
    .selectFrom("workflow")
    .select(
      sql<number>`(extract(epoch from files_wait_until - clock_timestamp()) * 1000)::double precision`.as(
        "left",
      ),
    )
    .where("tenant", "=", tenant)
    .where("id", "=", workflow.id)
    .executeTakeFirstOrThrow();
  return left > 0 ? Math.min(context.fileWaitPauseMs, Math.ceil(left)) : undefined;
}
