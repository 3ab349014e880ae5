/** Tasks by what they are and how far they are, and how a workflow counts them. */

export type TaskKind = "list" | "load" | "publish" | "discard";
/** `skipped`: somebody decided that the workflow goes on without the task. */
export type TaskState = "waiting" | "running" | "succeeded" | "failed" | "canceled" | "skipped";

export interface TaskCondition {
  readonly kind: TaskKind;
  readonly state: TaskState;
  /** The number of the newest attempt; 0 before the first. */
  readonly attempt: number;
  /** The number of the last attempt before it was resumed; 0 unless it was. What is allowed counts from here. */
  readonly floor: number;
  /** Attempts since then that ended because files may still come. They don't count; 0 when not set. */
  readonly waits?: number;
}

export const NEW_TASK: Omit<TaskCondition, "kind"> = { state: "waiting", attempt: 0, floor: 0 };

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
  /** Lists, loads and publishes whose failure is final, unless somebody resumes them. */
  readonly failed: number;
  /** Loads and publishes that were not needed any more when the workflow began to fail. */
  readonly loadsCanceled: number;
  readonly publishesCanceled: number;
}

export const NO_TASKS: Tally = {
  listWaiting: 0,
  listRunning: 0,
  loadsWaiting: 0,
  loadsRunning: 0,
  publishes: 0,
  publishesUntouched: 0,
  publishesBegun: 0,
  publishesSucceeded: 0,
  failed: 0,
  loadsCanceled: 0,
  publishesCanceled: 0,
};

/** The task as it is once it is resumed; undefined when there is nothing to resume. `redo` takes one that succeeded, too. */
export function resumeTask(task: TaskCondition, redo = false): TaskCondition | undefined {
  const isOver = task.state === "failed" || task.state === "canceled";
  const isRedone = redo && task.kind === "load" && task.state === "succeeded";
  if (task.kind === "discard" || !(isOver || isRedone)) return undefined;
  return { ...task, state: "waiting", floor: task.attempt, waits: 0 };
}

/** The task as it is once the workflow goes on without it; undefined while it runs, and for what is done. */
export function skipTask(task: TaskCondition): TaskCondition | undefined {
  const isOpen = task.state === "failed" || task.state === "canceled" || task.state === "waiting";
  const isStaged = task.kind === "load" && task.state === "succeeded";
  if (task.kind === "discard" || task.kind === "list" || !(isOpen || isStaged)) return undefined;
  return { ...task, state: "skipped" };
}

/** The tally of tasks, alike ones together. `publishes`: how many there will be in all. */
export function countTasks(
  tasks: Iterable<TaskCondition & { readonly count: number }>,
  publishes: number,
): Tally {
  const counts: { -readonly [Name in keyof Tally]: number } = {
    ...NO_TASKS,
    publishes,
  };
  for (const { count, ...task } of tasks) {
    const where = place(task);
    if (where !== undefined) counts[where] += count;
  }
  return counts;
}

/** The counters a task stands in. */
function place(task: TaskCondition): keyof Tally | undefined {
  const open = task.state === "waiting" || task.state === "running";
  if (task.state === "failed" && task.kind !== "discard") return "failed";
  switch (task.kind) {
    case "list":
      return open ? (task.state === "waiting" ? "listWaiting" : "listRunning") : undefined;
    case "load":
      if (open) return task.state === "waiting" ? "loadsWaiting" : "loadsRunning";
      return task.state === "canceled" ? "loadsCanceled" : undefined;
    case "publish":
      if (open) return task.attempt === task.floor ? "publishesUntouched" : "publishesBegun";
      if (task.state === "canceled") return "publishesCanceled";
      return task.state === "succeeded" ? "publishesSucceeded" : undefined;
    case "discard":
      return undefined;
  }
}

export function moved(tally: Tally, from: TaskCondition, to: TaskCondition): Tally {
  const counts = { ...tally };
  const before = place(from);
  const after = place(to);
  if (before !== undefined) counts[before] -= 1;
  if (after !== undefined) counts[after] += 1;
  return counts;
}

export function withoutUntouched(tally: Tally): Tally {
  return {
    ...tally,
    listWaiting: 0,
    loadsWaiting: 0,
    loadsCanceled: tally.loadsCanceled + tally.loadsWaiting,
    publishesUntouched: 0,
    publishesCanceled: tally.publishesCanceled + tally.publishesUntouched,
  };
}
