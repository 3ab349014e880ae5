import type { JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Stage, StageFailure } from "@sluice/api/control/v1/failure_pb";
import { sql } from "kysely";
import type { EngineContext, TaskRow, Trx, WorkflowRow } from "./context.ts";
import { applyEffects } from "./effects.ts";
import { failureToJson } from "./failure.ts";
import type { TaskColumns } from "./progress.ts";
import {
  advance,
  type Event,
  isEnded,
  type Refusal,
  type WorkflowCondition,
} from "./state-machine.ts";
import { NO_TASKS, type Tally, type TaskCondition } from "./tally.ts";

/** A transaction on one workflow, whose row it holds: every change of a workflow's tasks takes turns. */
export interface Change {
  readonly trx: Trx;
  readonly tenant: string;
  readonly workflow: WorkflowRow;
  /** The number that everything this transaction changes carries. */
  readonly revision: number;
  condition: WorkflowCondition;
  readonly set: WorkflowChanges;
  /** Whether tasks became claimable. */
  tasksReady: boolean;
  /** Pauses after which tasks become claimable. */
  readonly delaysMs: number[];
}

/** What a transaction changes of the workflow's row besides its condition. */
interface WorkflowChanges {
  changed: boolean;
  failure?: StageFailure;
  /** Whether the failure that stands there is over. */
  isFailureOver?: boolean;
  warnings: string[];
  /** The plan, when a resolution changed it. */
  plan?: string;
  skipMissingFiles?: boolean;
  stage?: Stage;
  bytesRead: number;
  bytesTotal: number;
  rows: number;
  rejectedRows: number;
}

/** What an event brings besides itself. */
export interface StepFacts {
  readonly worker?: string;
  readonly failure?: StageFailure;
  readonly outcome?: "succeeded" | "failed" | "lost";
  /** Further columns of the task. */
  readonly task?: TaskColumns;
}

/**
 * Runs `work` with the workflow's row locked, then writes the row and wakes whoever waits for news.
 * NOT_FOUND when there is no such workflow. Transactions lock one workflow, then its tasks, never
 * the other way round.
 */
export async function inWorkflow<T>(
  context: EngineContext,
  workflowId: string,
  work: (change: Change) => Promise<T>,
): Promise<T> {
  const changed = await context.kysely
    .transaction()
    .execute((trx) => changeWorkflow(context, trx, workflowId, work));
  tellOf(context, changed);
  return changed.result;
}

/** What a transaction did to a workflow: `tellOf` it once the transaction is durable. */
export interface Changed<T> {
  readonly result: T;
  readonly change: Change;
  readonly hasEnded: boolean;
}

/** The same in a transaction of the caller's. */
export async function changeWorkflow<T>(
  context: EngineContext,
  trx: Trx,
  workflowId: string,
  work: (change: Change) => Promise<T>,
): Promise<Changed<T>> {
  const tenant = context.tenant();
  const workflow = await trx
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", workflowId)
    .forUpdate()
    .executeTakeFirst();
  if (workflow === undefined) {
    throw new ConnectError(`there is no workflow ${workflowId}`, Code.NotFound);
  }
  const change: Change = {
    trx,
    tenant,
    workflow,
    revision: workflow.revision + 1,
    condition: conditionOf(workflow),
    set: { changed: false, warnings: [], bytesRead: 0, bytesTotal: 0, rows: 0, rejectedRows: 0 },
    tasksReady: false,
    delaysMs: [],
  };
  const result = await work(change);
  if (change.set.changed) await writeWorkflow(context, change);
  const hasEnded = !isEnded(workflow.state) && isEnded(change.condition.state);
  if (hasEnded) await context.endings?.record(trx, workflowId);
  return { result, change, hasEnded };
}

/** Wakes whoever waits for what a durable transaction did. */
export function tellOf(context: EngineContext, { change, hasEnded }: Changed<unknown>): void {
  const { id, start_time: startTime } = change.workflow;
  if (change.tasksReady) context.taskBell.ring();
  if (change.set.changed) context.workflowBells.ring(id, hasEnded);
  if (hasEnded) context.endings?.ring({ id, state: change.condition.state, startTime });
  for (const delayMs of change.delaysMs) context.ringTasksLater(delayMs);
}

/**
 * Takes a task and its workflow through one event, effects included, or says why not. The newest
 * attempt's record is opened by a claim and closed by whatever ends the attempt.
 */
export async function step(
  context: EngineContext,
  change: Change,
  task: TaskRow | undefined,
  event: Event,
  facts: StepFacts = {},
): Promise<Refusal | { readonly task: TaskCondition | undefined }> {
  const before = task === undefined ? undefined : taskCondition(task);
  const next = advance(change.condition, before, event, context.retry);
  if ("refused" in next) return next;
  change.set.changed = true;
  change.condition = next.workflow;
  if (task !== undefined && next.task !== undefined) {
    await writeTask(context, change, task, next.task, facts);
    if (event.type === "claimed") await openAttempt(change, task, next.task.attempt, facts);
    else await closeAttempt(change, task, facts);
  }
  await applyEffects(change, task, next.effects, facts.failure);
  // A publish whose outcome is known lets the next one of its feed begin.
  if (task?.kind === "publish" && event.type !== "claimed") change.tasksReady = true;
  return { task: next.task };
}

export function taskCondition(task: TaskRow): TaskCondition {
  const { kind, state, attempt, attempt_floor: floor, waits } = task;
  return { kind, state, attempt, floor, waits };
}

function conditionOf(workflow: WorkflowRow): WorkflowCondition {
  return { state: workflow.state, staged: workflow.staged, tally: parseTally(workflow.tally) };
}

function parseTally(json: JsonValue): Tally {
  const counts = { ...NO_TASKS };
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error("a workflow's tally is not an object");
  }
  for (const name of Object.keys(counts) as (keyof Tally)[]) {
    // A workflow that an older release began has fewer counts: what they count had not happened to it.
    const count = json[name] ?? 0;
    if (typeof count !== "number") throw new Error(`a workflow's tally has a wrong ${name}`);
    counts[name] = count;
  }
  return counts;
}

async function writeTask(
  context: EngineContext,
  change: Change,
  task: TaskRow,
  next: TaskCondition,
  facts: StepFacts,
): Promise<void> {
  const ended = next.state !== "running" && next.state !== "waiting";
  await change.trx
    .updateTable("task")
    .set({
      ...facts.task,
      state: next.state,
      attempt: next.attempt,
      attempt_floor: next.floor,
      waits: next.waits ?? 0,
      revision: change.revision,
      available_time: null,
      worker: next.state === "running" ? (facts.worker ?? null) : null,
      lease_expire_time: next.state === "running" ? leaseEnd(context.leaseMs) : null,
      ...(next.state === "running" && task.first_start_time === null
        ? { first_start_time: sql<Date>`now()` }
        : {}),
      ...(ended ? { end_time: sql<Date>`now()` } : {}),
    })
    .where("tenant", "=", change.tenant)
    .where("id", "=", task.id)
    .execute();
}

/** When a lease that is given or renewed now ends, by the database's clock: the only one all replicas share. */
export function leaseEnd(leaseMs: number): ReturnType<typeof sql<Date>> {
  return sql<Date>`clock_timestamp() + make_interval(secs => ${leaseMs / 1000})`;
}

async function openAttempt(
  change: Change,
  task: TaskRow,
  number: number,
  facts: StepFacts,
): Promise<void> {
  await change.trx
    .insertInto("attempt")
    .values({
      tenant: change.tenant,
      task_id: task.id,
      number,
      worker: facts.worker ?? "",
      start_time: sql<Date>`now()`,
    })
    .execute();
}

async function closeAttempt(change: Change, task: TaskRow, facts: StepFacts): Promise<void> {
  await change.trx
    .updateTable("attempt")
    .set({
      end_time: sql<Date>`now()`,
      outcome: facts.outcome ?? "succeeded",
      failure: facts.failure === undefined ? null : failureToJson(facts.failure),
    })
    .where("tenant", "=", change.tenant)
    .where("task_id", "=", task.id)
    .where("number", "=", task.attempt)
    .execute();
}

/** The first failure stands until it is over. */
function failureColumn({ set, workflow }: Change): { readonly failure?: string | null } {
  if (workflow.failure !== null && set.isFailureOver !== true) return {};
  if (set.failure !== undefined) return { failure: failureToJson(set.failure) };
  return workflow.failure === null ? {} : { failure: null };
}

/** Until when a workflow that has failed may be resumed. */
function restEnd(
  context: EngineContext,
  workflow: WorkflowRow,
): Date | ReturnType<typeof sql<Date>> {
  return workflow.expire_time ?? leaseEnd(context.keepFailedMs);
}

async function writeWorkflow(context: EngineContext, change: Change): Promise<void> {
  const { set, condition, workflow } = change;
  const warnings = Array.isArray(workflow.warnings) ? workflow.warnings : [];
  await change.trx
    .updateTable("workflow")
    .set({
      state: condition.state,
      staged: condition.staged,
      tally: JSON.stringify(condition.tally),
      revision: change.revision,
      bytes_read: workflow.bytes_read + set.bytesRead,
      bytes_total: workflow.bytes_total + set.bytesTotal,
      rows: workflow.rows + set.rows,
      rejected_rows: workflow.rejected_rows + set.rejectedRows,
      ...(set.stage === undefined ? {} : { stage: set.stage }),
      ...failureColumn(change),
      ...(set.plan === undefined ? {} : { plan: set.plan }),
      ...(set.skipMissingFiles === undefined ? {} : { skip_missing_files: set.skipMissingFiles }),
      ...(set.warnings.length === 0
        ? {}
        : { warnings: JSON.stringify([...warnings, ...set.warnings]) }),
      ...(workflow.start_time === null && condition.state !== "scheduled"
        ? { start_time: sql<Date>`now()` }
        : {}),
      ...(isEnded(condition.state)
        ? { end_time: workflow.end_time ?? sql<Date>`now()` }
        : { end_time: null }),
      expire_time: condition.state === "failed" ? restEnd(context, workflow) : null,
    })
    .where("tenant", "=", change.tenant)
    .where("id", "=", workflow.id)
    .execute();
}
