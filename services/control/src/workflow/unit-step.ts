import { sql } from "kysely";
import { type Change, leaseEnd, type StepFacts, taskCondition } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";
import { applyEffects } from "./effects.ts";
import { failureToJson } from "./failure.ts";
import { advance, type Effect, type Event } from "./state-machine.ts";
import type { TaskCondition } from "./tally.ts";

/** When the leases of tasks end that are leased with another one, whose lease counts. */
const WITH_THE_FIRST = sql<Date>`timestamptz '9999-01-01 00:00:00Z'`;

type UnitEvent = "claimed" | "succeeded" | "failed" | "leaseLost" | "released";

function eventOf(type: UnitEvent, { attempt }: TaskRow): Event {
  switch (type) {
    case "claimed":
      return { type };
    case "failed":
      return { type, attempt, retry: true, isAlone: false };
    default:
      return { type, attempt };
  }
}

/**
 * Takes tasks through the same event, one after the other, as `step` does for one, and writes what becomes of them in
 * a few statements. False, and nothing is changed, when the event is refused for one of them.
 */
export async function stepAll(
  context: EngineContext,
  change: Change,
  tasks: readonly TaskRow[],
  type: UnitEvent,
  facts: StepFacts = {},
): Promise<boolean> {
  let condition = change.condition;
  const written = new Map<string, { readonly next: TaskCondition; readonly ids: string[] }>();
  const effects: { readonly task: TaskRow; readonly effects: readonly Effect[] }[] = [];
  const delays = new Map<number, string[]>();
  for (const task of tasks) {
    const next = advance(condition, taskCondition(task), eventOf(type, task), context.retry);
    if ("refused" in next || next.task === undefined) return false;
    condition = next.workflow;
    const alike = JSON.stringify(next.task);
    const found = written.get(alike);
    if (found === undefined) written.set(alike, { next: next.task, ids: [task.id] });
    else found.ids.push(task.id);
    const others: Effect[] = [];
    for (const effect of next.effects) {
      if (effect.type !== "delay") others.push(effect);
      else delays.set(effect.delayMs, [...(delays.get(effect.delayMs) ?? []), task.id]);
    }
    if (others.length > 0) effects.push({ task, effects: others });
  }
  change.set.changed = true;
  change.condition = condition;
  for (const { next, ids } of written.values()) await writeTasks(context, change, ids, next, facts);
  const ids = tasks.map(({ id }) => id);
  await (type === "claimed" ? openAttempts(change, ids, facts) : closeAttempts(change, ids, facts));
  for (const [delayMs, late] of delays) await delayAll(change, late, delayMs);
  for (const each of effects) await applyEffects(change, each.task, each.effects, facts.failure);
  return true;
}

async function writeTasks(
  context: EngineContext,
  change: Change,
  ids: readonly string[],
  next: TaskCondition,
  { worker }: StepFacts,
): Promise<void> {
  const isRunning = next.state === "running";
  const hasEnded = !isRunning && next.state !== "waiting";
  await change.trx
    .updateTable("task")
    .set({
      state: next.state,
      attempt: next.attempt,
      attempt_floor: next.floor,
      waits: next.waits ?? 0,
      revision: change.revision,
      available_time: null,
      worker: isRunning ? (worker ?? null) : null,
      lease_expire_time: isRunning
        ? sql<Date>`case when number = unit then ${leaseEnd(context.leaseMs)} else ${WITH_THE_FIRST} end`
        : null,
      ...(isRunning ? { first_start_time: sql<Date>`coalesce(first_start_time, now())` } : {}),
      ...(hasEnded ? { end_time: sql<Date>`now()` } : {}),
    })
    .where("tenant", "=", change.tenant)
    .where(isOneOf(ids))
    .execute();
}

const isOneOf = (ids: readonly string[]) => sql<boolean>`id = any(${[...ids]}::text[])`;

async function openAttempts(
  change: Change,
  ids: readonly string[],
  { worker = "" }: StepFacts,
): Promise<void> {
  await sql`
    insert into attempt (tenant, task_id, number, worker, start_time)
    select tenant, id, attempt, ${worker}, now() from task
    where tenant = ${change.tenant} and ${isOneOf(ids)}`.execute(change.trx);
}

async function closeAttempts(
  change: Change,
  ids: readonly string[],
  { outcome = "succeeded", failure }: StepFacts,
): Promise<void> {
  await sql`
    update attempt set end_time = now(), outcome = ${outcome},
      failure = ${failure === undefined ? null : failureToJson(failure)}::jsonb
    from task
    where task.tenant = ${change.tenant} and task.id = any(${[...ids]}::text[])
      and attempt.tenant = task.tenant and attempt.task_id = task.id
      and attempt.number = task.attempt`.execute(change.trx);
}

async function delayAll(change: Change, ids: readonly string[], delayMs: number): Promise<void> {
  if (delayMs === 0) {
    change.tasksReady = true;
    return;
  }
  await change.trx
    .updateTable("task")
    .set({
      available_time: sql<Date>`clock_timestamp() + make_interval(secs => ${delayMs / 1000})`,
    })
    .where("tenant", "=", change.tenant)
    .where(isOneOf(ids))
    .execute();
  change.delaysMs.push(delayMs);
}
