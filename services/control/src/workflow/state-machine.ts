/**
 * What may happen to a workflow and its tasks, without a database: see SPEC.md, which names the
 * states, the events, the invariants and the test of each.
 */

export type TaskKind = "list" | "load" | "publish" | "discard";
export type TaskState = "waiting" | "running" | "succeeded" | "failed" | "canceled";

/** `failing` is the time between a failure and `failed`: what still runs is being stopped. */
export type WorkflowState =
  | "scheduled"
  | "running"
  | "finalizing"
  | "failing"
  | "stopping"
  | "succeeded"
  | "stopped"
  | "failed";

export const FINAL_STATES: readonly WorkflowState[] = ["succeeded", "stopped", "failed"];

export function isFinal(state: WorkflowState): boolean {
  return FINAL_STATES.includes(state);
}

/** Whether what runs is being stopped, and nothing new may start. */
export function isDraining(state: WorkflowState): boolean {
  return state === "failing" || state === "stopping";
}

/** How many tasks are in the situations that decide what comes next. Discards decide nothing. */
export interface Tally {
  readonly listWaiting: number;
  readonly listRunning: number;
  readonly loadsWaiting: number;
  readonly loadsRunning: number;
  /** Publishes that the workflow has in all, made or not: one for each feed with an object. */
  readonly publishes: number;
  /** Waiting publishes that no worker ever claimed. */
  readonly publishesUntouched: number;
  /** Publishes that a worker claimed and whose outcome is not known: nothing but an outcome ends them. */
  readonly publishesBegun: number;
  readonly publishesSucceeded: number;
}

export interface WorkflowCondition {
  readonly state: WorkflowState;
  readonly tally: Tally;
  /** Whether a load was ever claimed, so that there may be staging tables. */
  readonly staged: boolean;
}

export interface TaskCondition {
  readonly kind: TaskKind;
  readonly state: TaskState;
  /** The number of the newest attempt; 0 before the first. */
  readonly attempt: number;
  /** Attempts that ended because files may still come. They don't count among the attempts; 0 when not set. */
  readonly waits?: number;
}

export type Event =
  | { readonly type: "claimed" }
  /** The list is frozen: so many loads, for so many feeds. */
  | {
      readonly type: "listed";
      readonly attempt: number;
      readonly loads: number;
      readonly publishes: number;
    }
  | { readonly type: "succeeded"; readonly attempt: number }
  /**
   * `retry`: whether trying again by itself may help. `waitMs`: files are missing that may still come, and
   * after so long it is looked again.
   */
  | {
      readonly type: "failed";
      readonly attempt: number;
      readonly retry: boolean;
      readonly waitMs?: number;
    }
  | { readonly type: "leaseLost"; readonly attempt: number }
  | { readonly type: "cancelRequested" };

export type Effect =
  | { readonly type: "makeLoads" }
  | { readonly type: "makePublishes" }
  | { readonly type: "makeDiscard" }
  /** Every waiting task becomes canceled, except publishes that were claimed before. */
  | { readonly type: "cancelUntouched" }
  /** The task's next attempt may be claimed after so long. */
  | { readonly type: "delay"; readonly delayMs: number }
  /** The task's failure becomes the workflow's, unless it has one. */
  | { readonly type: "recordFailure" }
  /** The feed's load is on record. */
  | { readonly type: "recordLoad" };

export interface RetryPolicy {
  /** Attempts of a list, load or publish before its failure is final. Default 8. */
  readonly maxAttempts: number;
  /** Attempts of a discard, which nobody else would start again. Default 100. */
  readonly maxDiscardAttempts: number;
  /** The pause after the first failure; it doubles with every further one. Default 4,700: 7 pauses, 10 minutes. */
  readonly firstDelayMs: number;
  /** The longest pause. Default 300,000. */
  readonly maxDelayMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 8,
  maxDiscardAttempts: 100,
  firstDelayMs: 4_700,
  maxDelayMs: 300_000,
};

/** The pause before the attempt that follows `attempt`. */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  const doublings = Math.min(Math.max(attempt - 1, 0), 30);
  return Math.min(policy.firstDelayMs * 2 ** doublings, policy.maxDelayMs);
}

export interface Advance {
  readonly workflow: WorkflowCondition;
  /** As it is after the event; undefined when the event was about no task. */
  readonly task: TaskCondition | undefined;
  readonly effects: readonly Effect[];
}

/** Why an event changes nothing: the attempt is not the newest live one, or the task can't be claimed. */
export interface Refusal {
  readonly refused: "stale_attempt" | "not_claimable";
}

export const NEW_WORKFLOW: WorkflowCondition = {
  state: "scheduled",
  tally: {
    listWaiting: 1,
    listRunning: 0,
    loadsWaiting: 0,
    loadsRunning: 0,
    publishes: 0,
    publishesUntouched: 0,
    publishesBegun: 0,
    publishesSucceeded: 0,
  },
  staged: false,
};

/** A workflow that changes a domain table and loads nothing: it begins where others end, with its only publish. */
export const NEW_CHANGE: WorkflowCondition = {
  state: "finalizing",
  tally: { ...NEW_WORKFLOW.tally, listWaiting: 0, publishes: 1, publishesUntouched: 1 },
  staged: true,
};

export const NEW_TASK: Pick<TaskCondition, "state" | "attempt"> = { state: "waiting", attempt: 0 };

/** Whether a worker may be given the task now; a delay and other publishes of its feed come on top. */
export function isClaimable(workflow: WorkflowCondition, task: TaskCondition): boolean {
  if (task.state !== "waiting") return false;
  if (task.kind === "discard") return true;
  if (isFinal(workflow.state)) return false;
  return !isDraining(workflow.state) || (task.kind === "publish" && task.attempt > 0);
}

/** Whether the worker that holds the task is told to drop it. A publish always runs to its outcome. */
export function isToldToStop(workflow: WorkflowState, kind: TaskKind): boolean {
  return (kind === "list" || kind === "load") && (isDraining(workflow) || isFinal(workflow));
}

/**
 * What an event makes of a workflow and of the task it is about. Pure: the effects say what else has
 * to be written in the same transaction.
 */
export function advance(
  workflow: WorkflowCondition,
  task: TaskCondition | undefined,
  event: Event,
  policy: RetryPolicy,
): Advance | Refusal {
  if (event.type === "cancelRequested") return cancel(workflow, task);
  if (task === undefined) throw new Error(`the event "${event.type}" needs a task`);
  if (event.type === "claimed") {
    return isClaimable(workflow, task) ? claim(workflow, task) : { refused: "not_claimable" };
  }
  if (task.state !== "running" || task.attempt !== event.attempt)
    return { refused: "stale_attempt" };
  switch (event.type) {
    case "listed":
      return listed(workflow, task, event);
    case "succeeded":
      return succeed(workflow, task);
    case "failed":
      if (event.waitMs !== undefined) return wait(workflow, task, event.waitMs, policy);
      return fail(workflow, task, event.retry, retryDelayMs(policy, counted(task)), policy);
    case "leaseLost":
      return fail(workflow, task, true, 0, policy);
  }
}

function claim(workflow: WorkflowCondition, task: TaskCondition): Advance {
  const claimed: TaskCondition = { ...task, state: "running", attempt: task.attempt + 1 };
  return {
    workflow: {
      state: workflow.state === "scheduled" ? "running" : workflow.state,
      tally: moved(workflow.tally, task, claimed),
      staged: workflow.staged || task.kind === "list",
    },
    task: claimed,
    effects: [],
  };
}

function listed(
  workflow: WorkflowCondition,
  task: TaskCondition,
  event: { readonly loads: number; readonly publishes: number },
): Advance {
  const done: TaskCondition = { ...task, state: "succeeded" };
  const tally = moved(workflow.tally, task, done);
  if (isDraining(workflow.state)) return settle({ ...workflow, tally }, done, []);
  const planned = {
    ...tally,
    loadsWaiting: tally.loadsWaiting + event.loads,
    publishes: event.publishes,
  };
  return settle({ ...workflow, tally: planned }, done, [{ type: "makeLoads" }]);
}

function succeed(workflow: WorkflowCondition, task: TaskCondition): Advance {
  const done: TaskCondition = { ...task, state: "succeeded" };
  const effects: Effect[] = task.kind === "publish" ? [{ type: "recordLoad" }] : [];
  return settle({ ...workflow, tally: moved(workflow.tally, task, done) }, done, effects);
}

/** The attempts of a task that count. */
function counted(task: TaskCondition): number {
  return task.attempt - (task.waits ?? 0);
}

/** Looks again later, as often as there is time; a workflow that is being stopped waits for nothing. */
function wait(
  workflow: WorkflowCondition,
  task: TaskCondition,
  waitMs: number,
  policy: RetryPolicy,
): Advance {
  if (isDraining(workflow.state)) return fail(workflow, task, true, 0, policy);
  const waiting: TaskCondition = { ...task, state: "waiting", waits: (task.waits ?? 0) + 1 };
  return {
    workflow: { ...workflow, tally: moved(workflow.tally, task, waiting) },
    task: waiting,
    effects: [{ type: "delay", delayMs: waitMs }],
  };
}

function fail(
  workflow: WorkflowCondition,
  task: TaskCondition,
  retry: boolean,
  delayMs: number,
  policy: RetryPolicy,
): Advance {
  const mayGoOn = task.kind === "publish" || task.kind === "discard" || !isDraining(workflow.state);
  const limit = task.kind === "discard" ? policy.maxDiscardAttempts : policy.maxAttempts;
  const again = (retry || task.kind === "discard") && counted(task) < limit;
  if (again && mayGoOn) {
    const waiting: TaskCondition = { ...task, state: "waiting" };
    const tally = moved(workflow.tally, task, waiting);
    return {
      workflow: { ...workflow, tally },
      task: waiting,
      effects: [{ type: "delay", delayMs }],
    };
  }
  // While a workflow is being stopped, an attempt that could be repeated ended because of the stop.
  const ended: TaskCondition = { ...task, state: retry && !mayGoOn ? "canceled" : "failed" };
  const tally = moved(workflow.tally, task, ended);
  if (ended.state === "canceled" || task.kind === "discard" || isFinal(workflow.state)) {
    return settle({ ...workflow, tally }, ended, []);
  }
  if (isDraining(workflow.state)) {
    return settle({ ...workflow, tally }, ended, [{ type: "recordFailure" }]);
  }
  return settle({ ...workflow, state: "failing", tally: withoutUntouched(tally) }, ended, [
    { type: "recordFailure" },
    { type: "cancelUntouched" },
  ]);
}

function cancel(workflow: WorkflowCondition, task: TaskCondition | undefined): Advance {
  if (isFinal(workflow.state) || isDraining(workflow.state)) return { workflow, task, effects: [] };
  const stopping: WorkflowCondition = {
    ...workflow,
    state: "stopping",
    tally: withoutUntouched(workflow.tally),
  };
  return settle(stopping, task, [{ type: "cancelUntouched" }]);
}

/** What follows from the counts alone, after any change of them. */
function settle(
  workflow: WorkflowCondition,
  task: TaskCondition | undefined,
  effects: readonly Effect[],
): Advance {
  const { state, tally } = workflow;
  const as = (next: WorkflowState, ...more: Effect[]): Advance => ({
    workflow: { ...workflow, state: next },
    task,
    effects: [...effects, ...more],
  });
  // Private tables may be there as soon as a list was begun; whatever the end, they go.
  const end = (final: WorkflowState): Advance =>
    as(final, ...(workflow.staged ? [{ type: "makeDiscard" } as const] : []));
  const published = tally.publishes > 0 && tally.publishesSucceeded === tally.publishes;
  if (isDraining(state)) {
    if (tally.listRunning + tally.loadsRunning + tally.publishesBegun > 0) return as(state);
    if (published) return end("succeeded");
    return end(state === "failing" ? "failed" : "stopped");
  }
  if (state === "finalizing") return published ? end("succeeded") : as(state);
  const loading =
    tally.listWaiting + tally.listRunning + tally.loadsWaiting + tally.loadsRunning > 0;
  if (isFinal(state) || loading) return as(state);
  if (tally.publishes === 0) return end("succeeded");
  return {
    workflow: {
      ...workflow,
      state: "finalizing",
      tally: { ...tally, publishesUntouched: tally.publishes },
    },
    task,
    effects: [...effects, { type: "makePublishes" }],
  };
}

/** The counters a task stands in. */
function place(task: TaskCondition): keyof Tally | undefined {
  const open = task.state === "waiting" || task.state === "running";
  switch (task.kind) {
    case "list":
      return open ? (task.state === "waiting" ? "listWaiting" : "listRunning") : undefined;
    case "load":
      return open ? (task.state === "waiting" ? "loadsWaiting" : "loadsRunning") : undefined;
    case "publish":
      if (open) return task.attempt === 0 ? "publishesUntouched" : "publishesBegun";
      return task.state === "succeeded" ? "publishesSucceeded" : undefined;
    case "discard":
      return undefined;
  }
}

function moved(tally: Tally, from: TaskCondition, to: TaskCondition): Tally {
  const counts = { ...tally };
  const before = place(from);
  const after = place(to);
  if (before !== undefined) counts[before] -= 1;
  if (after !== undefined) counts[after] += 1;
  return counts;
}

function withoutUntouched(tally: Tally): Tally {
  return {
    ...tally,
    listWaiting: 0,
    loadsWaiting: 0,
    publishesUntouched: 0,
  };
}
