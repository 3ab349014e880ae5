import { Notification_Kind } from "@sluice/api/control/v1/notification_pb";
import { sql } from "kysely";
import { notify } from "../notifications/notify.ts";
import { makeId } from "../resources/identity.ts";
import { readGroupRow, toCronSchedule, toGroup } from "./group-rows.ts";
import { beginRun } from "./group-run.ts";
import type { GroupContext } from "./groups.ts";
import { isSettled, nextRefresh } from "./refresh-state.ts";
import { momentOf } from "./run-moment.ts";
import { beginNextRefresh, settle } from "./run-refreshes.ts";
import { readRuns } from "./run-rows.ts";
import { mustStop } from "./run-state.ts";
import { fromRunType } from "./run-type.ts";
import { latestFire, nextFire } from "./schedule.ts";

/** Groups and runs that one round looks at; the next round follows at once when there are more. */
const ROUND = 100;

/**
 * One round of everything that happens to groups by itself: what is due is run, who waits too long is told, what has to
 * stop is stopped. Gives the time until something is due by the clock, in milliseconds.
 */
export async function scheduleRound(context: GroupContext): Promise<number | undefined> {
  const couldFire = await fireDue(context);
  await alertLate(context);
  await lookAfterRuns(context);
  // What can't be run is due for ever: it is tried again after a pause.
  return couldFire ? await dueInMs(context) : undefined;
}

/** Gives whether every group that is due could be run. */
async function fireDue(context: GroupContext): Promise<boolean> {
  const due = await context.kysely
    .selectFrom("courier_group")
    .select("id")
    .where("tenant", "=", context.tenant())
    .where("next_fire_time", "<=", sql<Date>`clock_timestamp()`)
    .orderBy("next_fire_time")
    .limit(ROUND)
    .execute();
  let couldFire = true;
  for (const { id } of due) {
    try {
      await fire(context, id);
    } catch (error) {
      // The others are run all the same, and this one in the next round.
      context.log.error(
        { err: error, groupId: id },
        "a courier group that is due could not be run",
      );
      couldFire = false;
    }
  }
  return couldFire;
}

/**
 * Runs a group that is due, once, whatever other replicas do: whoever locks its row first moves the next fire on, and
 * nobody else finds it due. Of several fires that were missed only the latest is run.
 */
async function fire(context: GroupContext, groupId: string): Promise<void> {
  const tenant = context.tenant();
  const hasFired = await context.kysely.transaction().execute(async (trx) => {
    const claimed = await trx
      .selectFrom("courier_group")
      .select(sql<Date>`clock_timestamp()`.as("now"))
      .where("tenant", "=", tenant)
      .where("id", "=", groupId)
      .where("next_fire_time", "<=", sql<Date>`clock_timestamp()`)
      .forUpdate()
      .executeTakeFirst();
    if (claimed === undefined) return false;
    const row = await readGroupRow(trx, tenant, groupId);
    const group = toGroup(row);
    if (group.schedule === undefined || row.next_fire_time === null) return false;
    const schedule = toCronSchedule(group.schedule);
    const fireTime = latestFire(schedule, row.next_fire_time, claimed.now);
    const runType = fromRunType(group.schedule.runType);
    const isLoading = runType !== "refresh";
    const moment = momentOf(group, fireTime, row.last_fire_time);
    await beginRun(context, trx, tenant, makeId("grun"), {
      group,
      fireTime,
      runType,
      scope: isLoading ? { case: "moment", moment } : undefined,
    });
    await trx
      .updateTable("courier_group")
      .set({
        next_fire_time: nextFire(schedule, claimed.now) ?? null,
        // The days since then are still to be loaded after a run that only refreshes.
        ...(isLoading ? { last_fire_time: fireTime } : {}),
      })
      .where("tenant", "=", tenant)
      .where("id", "=", groupId)
      .execute();
    return true;
  });
  if (!hasFired) return;
  context.engine.ringTasks();
  context.newsRing();
}

/** Tells of runs that take longer than they should; once each, as whoever clears the time first does it. */
async function alertLate(context: GroupContext): Promise<void> {
  const tenant = context.tenant();
  const late = await context.kysely
    .selectFrom("group_run")
    .select("id")
    .where("tenant", "=", tenant)
    .where("settled", "=", false)
    .where("alert_time", "<=", sql<Date>`clock_timestamp()`)
    .limit(ROUND)
    .execute();
  for (const { id } of late) {
    await context.kysely.transaction().execute(async (trx) => {
      const run = await trx
        .updateTable("group_run")
        .set({ alert_time: null })
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .where("alert_time", "is not", null)
        .returningAll()
        .executeTakeFirst();
      if (run === undefined) return;
      const [current] = await readRuns(trx, tenant, [run]);
      if (current === undefined || isSettled(current)) return;
      const minutes = ((run.runtime_alert_ms ?? 0) / 60_000).toLocaleString("en");
      await notify(trx, tenant, {
        kind: Notification_Kind.RUNTIME_EXCEEDED,
        message: `A run of group ${run.group_name} has taken longer than ${minutes} minutes and goes on.`,
        groupRunId: id,
        groupId: run.group_id,
        groupName: run.group_name,
      });
    });
    context.newsRing();
  }
}

/**
 * Stops runs that lack files they can't go on without, refreshes custom domain tables of those whose couriers have ended
 * well, and leaves alone those of which nothing goes on.
 */
async function lookAfterRuns(context: GroupContext): Promise<void> {
  const tenant = context.tenant();
  const rows = await context.kysely
    .selectFrom("group_run")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("settled", "=", false)
    .orderBy("number")
    .execute();
  for (const run of await readRuns(context.kysely, tenant, rows)) {
    const { id } = run.row;
    try {
      if (isSettled(run)) await settle(context, id);
      else if (run.stopReason !== null || mustStop(run.members)) {
        await stopRun(context, id, "missing");
      } else if (nextRefresh(run) !== undefined) await beginNextRefresh(context, id);
    } catch (error) {
      // The others are looked after all the same, and this one in the next round.
      context.log.error({ err: error, groupRunId: id }, "a group's run could not be looked after");
    }
  }
}

/** Asks the workflows of a run to stop, those that have not ended; the first reason given stays. */
export async function stopRun(
  context: GroupContext,
  runId: string,
  reason: "asked" | "missing",
): Promise<void> {
  const tenant = context.tenant();
  await context.kysely.transaction().execute(async (trx) => {
    const run = await trx
      .selectFrom("group_run")
      .selectAll()
      .where("tenant", "=", tenant)
      .where("id", "=", runId)
      .where("stop_reason", "is", null)
      .forUpdate()
      .executeTakeFirst();
    const [current] = run === undefined ? [] : await readRuns(trx, tenant, [run]);
    if (run === undefined || current === undefined || isSettled(current)) return;
    await trx
      .updateTable("group_run")
      .set({ stop_reason: reason })
      .where("tenant", "=", tenant)
      .where("id", "=", runId)
      .execute();
    if (reason !== "asked") return;
    await notify(trx, tenant, {
      kind: Notification_Kind.STOPPED,
      message: `A run of group ${run.group_name} was stopped by hand.`,
      groupRunId: runId,
      groupId: run.group_id,
      groupName: run.group_name,
    });
  });
  await cancelParts(context, runId);
  context.newsRing();
}

/** Asks every workflow of a run to stop: what was begun before the stop was written, as nothing begins after it. */
async function cancelParts(context: GroupContext, runId: string): Promise<void> {
  for (const table of ["group_run_member", "group_run_refresh"] as const) {
    const parts = await context.kysely
      .selectFrom(table)
      .select("workflow_id")
      .where("tenant", "=", context.tenant())
      .where("run_id", "=", runId)
      .orderBy("position")
      .execute();
    for (const { workflow_id: id } of parts) if (id !== null) await context.engine.cancel(id);
  }
}

/** The time until a group fires or a run is late, by the database's clock. */
async function dueInMs(context: GroupContext): Promise<number | undefined> {
  const { rows } = await sql<{ left: number | null }>`
    select (extract(epoch from min(due) - clock_timestamp()) * 1000)::double precision as left
    from (
      select min(next_fire_time) as due from courier_group where tenant = ${context.tenant()}
      union all
      select min(alert_time) from group_run where tenant = ${context.tenant()} and not settled
    ) as dues`.execute(context.kysely);
  const left = rows[0]?.left ?? undefined;
  return left === undefined ? undefined : Math.max(0, Math.ceil(left));
}
