import { Notification_Kind } from "@sluice/api/control/v1/notification_pb";
import { sql } from "kysely";
import { notify } from "../notifications/notify.ts";
import { makeId } from "../resources/identity.ts";
import { readGroupRow, toCronSchedule, toGroup } from "./group-rows.ts";
import { beginRun } from "./group-run.ts";
import type { GroupContext } from "./groups.ts";
import { momentOf } from "./run-moment.ts";
import { readMembers } from "./run-rows.ts";
import { isSettled, mustStop } from "./run-state.ts";
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
    await beginRun(context, trx, tenant, makeId("grun"), {
      group,
      fireTime,
      moment: momentOf(group, fireTime, row.last_fire_time),
    });
    await trx
      .updateTable("courier_group")
      .set({
        next_fire_time: nextFire(schedule, claimed.now) ?? null,
        last_fire_time: fireTime,
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
      const members = (await readMembers(trx, tenant, [id])).get(id) ?? [];
      if (isSettled(members)) return;
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

/** Stops runs that lack files they can't go on without, and leaves alone those whose couriers have all ended. */
async function lookAfterRuns(context: GroupContext): Promise<void> {
  const tenant = context.tenant();
  const runs = await context.kysely
    .selectFrom("group_run")
    .select(["id", "stop_reason"])
    .where("tenant", "=", tenant)
    .where("settled", "=", false)
    .orderBy("number")
    .execute();
  const ids = runs.map(({ id }) => id);
  const members = await readMembers(context.kysely, tenant, ids);
  for (const { id, stop_reason: stopReason } of runs) {
    const ofRun = members.get(id) ?? [];
    if (isSettled(ofRun)) {
      await context.kysely
        .updateTable("group_run")
        .set({ settled: true })
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .execute();
    } else if (stopReason !== null || mustStop(ofRun)) {
      await stopRun(context, id, "missing");
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
      .where("settled", "=", false)
      .where("stop_reason", "is", null)
      .forUpdate()
      .executeTakeFirst();
    if (run === undefined) return;
    const members = (await readMembers(trx, tenant, [runId])).get(runId) ?? [];
    if (isSettled(members)) return;
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
  const members = (await readMembers(context.kysely, tenant, [runId])).get(runId) ?? [];
  for (const { row } of members) {
    if (row.workflow_id !== null) await context.engine.cancel(row.workflow_id);
  }
  context.newsRing();
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
