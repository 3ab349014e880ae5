/**
 * What may happen to a workflow and its tasks, without a database: see SPEC.md, which names the
 * states, the events, the invariants and the test of each.
 */

import {
  moved,
  NO_TASKS,
  type Tally,
  type TaskCondition,
  type TaskKind,
  withoutUntouched,
} from "./tally.ts";

/**
 * `failing` is the time between a failure and `failed`: what still runs is being stopped. `failed` is a rest, not an
 * end: the workflow may be resumed until it is `abandoned`.
 */
export type WorkflowState =
  | "scheduled"
  | "running"
  | "finalizing"
  | "failing"
  | "stopping"
  | "failed"
  | "succeeded"
  | "skipped"
  | "stopped"
  | "abandoned";

export const FINAL_STATES: readonly WorkflowState[] = [
  "succeeded",
  "skipped",
  "stopped",
  "abandoned",
];

export function isFinal(state: WorkflowState): boolean {
  return FINAL_STATES.includes(state);
}

/** Whether nothing goes on by itself: what readers take for the end. */
export function isEnded(state: WorkflowState): boolean {
  return state === "failed" || isFinal(state);
}

/** Whether what runs is being stopped, and nothing new may start. */
export function isDraining(state: WorkflowState): boolean {
  return state === "failing" || state === "stopping";
}

export interface WorkflowCondition {
  readonly state: WorkflowState;
  readonly tally: Tally;
  /** Whether a load was ever claimed, so that there may be staging tables. */
  readonly staged: boolean;
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
   * `retry`: whether trying again by itself may help. `isAlone`: whether the failure is of this object, and says
   * nothing of the others. `waitMs`: files are missing that may still come, and after so long it is looked again.
   */
  | {
      readonly type: "failed";
      readonly attempt: number;
      readonly retry: boolean;
      readonly isAlone: boolean;
      readonly waitMs?: number;
    }
  | { readonly type: "leaseLost"; readonly attempt: number }
  /** What is loaded together will be loaded one by one: the attempt ends and does not count. Once for a task. */
  | { readonly type: "released"; readonly attempt: number }
  | { readonly type: "cancelRequested" }
  /** Somebody resolved a failure: tasks were resumed, redone or skipped, and counted anew. */
  | { readonly type: "resumed"; readonly tally: Tally };

export type Effect =
  | { readonly type: "makeLoads" }
  | { readonly type: "makePublishes" }
  | { readonly type: "makeDiscard" }
  /** Every waiting task becomes canceled, except publishes that were claimed before. */
  | { readonly type: "cancelUntouched" }
  /** The task's next attempt may be claimed after so long. */
  | { readonly type: "delay"; readonly delayMs: number }
  /** The task's failure becomes the workflow's, unless it has one, and an action is made for it. */
  | { readonly type: "recordFailure" }
  /** The feed's load is on record. */
  | { readonly type: "recordLoad" }
  /** Nothing is left to resolve. */
  | { readonly type: "closeActions" };

export interface RetryPolicy {
  /** Attempts of a list, load or publish before its failure is final. Default 8. */
  readonly maxAttempts: number;
  /** Attempts of a discard, which nobody else would start again. Default 100. */
  readonly maxDiscardAttempts: number;
  /** The pause after the first failure; it doubles with every further one. Default 4,700: 7 pauses, 10 minutes. */
  readonly firstDelayMs: number;
  /** The longest pause. Default 300,000. */
  readonly maxDelayMs: number;
  /** Tasks that may fail on their own before the others are stopped: then it is not the one file. Default 20. */
  readonly maxFailures: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 8,
  maxDiscardAttempts: 100,
  firstDelayMs: 4_700,
  maxDelayMs: 300_000,
  maxFailures: 20,
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

/** Why an event changes nothing: the attempt is not the newest live one, or the state does not allow it. */
export interface Refusal {
  readonly refused: "stale_attempt" | "not_claimable" | "not_resumable";
}

export const NEW_WORKFLOW: WorkflowCondition = {
  state: "scheduled",
  tally: { ...NO_TASKS, listWaiting: 1 },
  staged: false,
};

/** A workflow that changes a domain table and loads nothing: it begins where others end, with its only publish. */
export const NEW_CHANGE: WorkflowCondition = {
  state: "finalizing",
  tally: { ...NEW_WORKFLOW.tally, listWaiting: 0, publishes: 1, publishesUntouched: 1 },
  staged: true,
};

/** Whether a resolution may change tasks of a workflow in this state. */
export function isResumable(state: WorkflowState): boolean {
  return state === "failed" || state === "running";
}

/** Whether a worker may be given the task now; a delay and other publishes of its feed come on top. */
export function isClaimable(workflow: WorkflowCondition, task: TaskCondition): boolean {
  if (task.state !== "waiting") return false;
  if (task.kind === "discard") return true;
  if (isFinal(workflow.state)) return false;
  if (workflow.state === "failed") return false;
  return !isDraining(workflow.state) || (task.kind === "publish" && task.attempt > task.floor);
}

/** Whether the worker that holds the task is told to drop it. A publish always runs to its outcome. */
export function isToldToStop(workflow: WorkflowState, kind: TaskKind): boolean {
  return (kind === "list" || kind === "load") && (isDraining(workflow) || isEnded(workflow));
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
  if (event.type === "resumed") return resume(workflow, event.tally);
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
      return fail(workflow, task, event, retryDelayMs(policy, counted(task)), policy);
    case "leaseLost":
      return fail(workflow, task, { retry: true, isAlone: false }, 0, policy);
    case "released":
      return wait(workflow, task, 0, policy);
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
  return task.attempt - task.floor - (task.waits ?? 0);
}

/** Looks again later, as often as there is time; a workflow that is being stopped waits for nothing. */
function wait(
  workflow: WorkflowCondition,
  task: TaskCondition,
  waitMs: number,
  policy: RetryPolicy,
): Advance {
  if (isDraining(workflow.state)) {
    return fail(workflow, task, { retry: true, isAlone: false }, 0, policy);
  }
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
  { retry, isAlone }: { readonly retry: boolean; readonly isAlone: boolean },
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
  const goesOn =
    isAlone &&
    task.kind === "load" &&
    workflow.state === "running" &&
    tally.failed < policy.maxFailures;
  if (goesOn || isDraining(workflow.state)) {
    return settle({ ...workflow, tally }, ended, [{ type: "recordFailure" }]);
  }
  return settle({ ...workflow, state: "failing", tally: withoutUntouched(tally) }, ended, [
    { type: "recordFailure" },
    { type: "cancelUntouched" },
  ]);
}

function cancel(workflow: WorkflowCondition, task: TaskCondition | undefined): Advance {
  if (isFinal(workflow.state) || workflow.state === "stopping") {
    return { workflow, task, effects: [] };
  }
  if (workflow.state === "failed") return end(workflow, task, "abandoned", []);
  const stopping: WorkflowCondition = {
    ...workflow,
    state: "stopping",
    tally: withoutUntouched(workflow.tally),
  };
  return settle(stopping, task, [{ type: "cancelUntouched" }]);
}

function resume(workflow: WorkflowCondition, tally: Tally): Advance | Refusal {
  if (!isResumable(workflow.state)) return { refused: "not_resumable" };
  return settle({ ...workflow, state: "running", tally }, undefined, []);
}

/** Private tables may be there as soon as a list was begun; once nothing can come back to them, they go. */
function end(
  workflow: WorkflowCondition,
  task: TaskCondition | undefined,
  final: WorkflowState,
  effects: readonly Effect[],
): Advance {
  const discard: readonly Effect[] = workflow.staged ? [{ type: "makeDiscard" }] : [];
  return {
    workflow: { ...workflow, state: final },
    task,
    effects: [...effects, { type: "closeActions" }, ...discard],
  };
}

/** What follows from the counts alone, after any change of them. */
function settle(
  workflow: WorkflowCondition,
  task: TaskCondition | undefined,
  effects: readonly Effect[],
): Advance {
  const { state, tally } = workflow;
  const as = (next: WorkflowState): Advance => ({
    workflow: { ...workflow, state: next },
    task,
    effects,
  });
  const made = tally.publishesUntouched + tally.publishesBegun + tally.publishesSucceeded;
  const published = tally.publishes > 0 && tally.publishesSucceeded === tally.publishes;
  if (isDraining(state)) {
    if (tally.listRunning + tally.loadsRunning + tally.publishesBegun > 0) return as(state);
    if (published) return end(workflow, task, "succeeded", effects);
    return state === "failing" ? as("failed") : end(workflow, task, "stopped", effects);
  }
  const loading =
    tally.listWaiting + tally.listRunning + tally.loadsWaiting + tally.loadsRunning > 0;
  if (isEnded(state) || state === "scheduled" || loading) return as(state);
  if (published) return end(workflow, task, "succeeded", effects);
  if (tally.failed > 0) {
    return as(tally.publishesUntouched + tally.publishesBegun > 0 ? "running" : "failed");
  }
  if (tally.publishes === 0) return end(workflow, task, "skipped", effects);
  const missing = tally.publishes - made;
  return {
    workflow: {
      ...workflow,
      state: "finalizing",
      tally: { ...tally, publishesUntouched: tally.publishesUntouched + missing },
    },
    task,
    effects: missing > 0 ? [...effects, { type: "makePublishes" }] : effects,
  };
}
