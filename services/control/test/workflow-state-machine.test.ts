import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Advance,
  advance,
  DEFAULT_RETRY_POLICY,
  type Event,
  isClaimable,
  isDraining,
  isEnded,
  isFinal,
  isResumable,
  isToldToStop,
  NEW_WORKFLOW,
  type RetryPolicy,
  retryDelayMs,
  type WorkflowCondition,
} from "../src/workflow/state-machine.ts";
import {
  countTasks,
  NEW_TASK,
  resumeTask,
  skipTask,
  type TaskCondition,
} from "../src/workflow/tally.ts";

const POLICY: RetryPolicy = {
  maxAttempts: 3,
  maxDiscardAttempts: 4,
  firstDelayMs: 100,
  maxDelayMs: 1000,
  maxFailures: 3,
};

/** What the database keeps, kept in memory: applies effects as the engine does. */
interface Model {
  workflow: WorkflowCondition;
  tasks: TaskCondition[];
  publishes: number;
  loads: number;
}

function newModel(loads: number, publishes: number): Model {
  return {
    workflow: NEW_WORKFLOW,
    tasks: [{ kind: "list", ...NEW_TASK }],
    publishes: loads === 0 ? 0 : publishes,
    loads,
  };
}

/** Takes the model through an event; false when the event is refused. */
function happen(model: Model, index: number | undefined, event: Event): boolean {
  const task = index === undefined ? undefined : model.tasks[index];
  const next = advance(model.workflow, task, event, POLICY);
  if ("refused" in next) return false;
  model.workflow = next.workflow;
  if (index !== undefined && next.task !== undefined) model.tasks[index] = next.task;
  apply(model, next);
  return true;
}

function apply(model: Model, { effects }: Advance): void {
  for (const { type } of effects) {
    if (type === "makeLoads") add(model, "load", model.loads);
    if (type === "makePublishes") {
      const made = model.tasks.filter(
        ({ kind, state }) => kind === "publish" && state !== "skipped",
      );
      add(model, "publish", model.publishes - made.length);
    }
    if (type === "makeDiscard") add(model, "discard", 1);
    if (type === "cancelUntouched") {
      model.tasks = model.tasks.map((task) =>
        task.state === "waiting" &&
        task.kind !== "discard" &&
        (task.kind !== "publish" || task.attempt === task.floor)
          ? { ...task, state: "canceled" }
          : task,
      );
    }
  }
}

function add(model: Model, kind: TaskCondition["kind"], count: number): void {
  for (let made = 0; made < count; made++) model.tasks.push({ kind, ...NEW_TASK });
}

/** What chance may do next; the numbers choose the task and the attempt that is named. */
interface Move {
  readonly type:
    | "claimed"
    | "succeeded"
    | "failed"
    | "leaseLost"
    | "released"
    | "cancelRequested"
    | "resumed"
    | "feedLeftOut"
    | "publishedFirst";
  readonly pick: number;
  readonly retry: boolean;
  readonly isAlone?: boolean;
  /** Whether a failure is of files that may still come. */
  readonly awaits?: boolean;
  readonly staleBy: number;
}

const move: fc.Arbitrary<Move> = fc.record({
  type: fc.oneof(
    { weight: 10, arbitrary: fc.constant("claimed" as const) },
    { weight: 10, arbitrary: fc.constant("succeeded" as const) },
    { weight: 3, arbitrary: fc.constant("failed" as const) },
    { weight: 2, arbitrary: fc.constant("leaseLost" as const) },
    { weight: 1, arbitrary: fc.constant("released" as const) },
    { weight: 1, arbitrary: fc.constant("cancelRequested" as const) },
    { weight: 4, arbitrary: fc.constant("resumed" as const) },
    { weight: 1, arbitrary: fc.constant("feedLeftOut" as const) },
    { weight: 1, arbitrary: fc.constant("publishedFirst" as const) },
  ),
  pick: fc.nat(1000),
  retry: fc.boolean(),
  isAlone: fc.boolean(),
  awaits: fc.boolean(),
  staleBy: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 }) },
  ),
});

const story = fc.record({
  loads: fc.nat(4),
  publishes: fc.integer({ min: 1, max: 3 }),
  moves: fc.array(move, { maxLength: 80 }),
});

/**
 * Resolves one failure as the engine does: the failed task waits again, and so does all that was canceled. One may be
 * redone that had succeeded, a feed may be left out, or a whole feed be published first.
 */
function resolve(model: Model, { type, pick }: Move): boolean {
  if (!isResumable(model.workflow.state)) return false;
  const failed = model.tasks.flatMap(({ kind, state }, index) =>
    state === "failed" && kind !== "discard" ? [index] : [],
  );
  const index = failed[pick % failed.length];
  const own = index === undefined ? undefined : model.tasks[index];
  if (index === undefined || own === undefined) return false;
  const tasks = [...model.tasks];
  const made = tasks.filter(({ kind, state }) => kind === "publish" && state !== "skipped");
  let { publishes } = model;
  if (type === "feedLeftOut") {
    // Of a feed whose load failed, a publish is never there.
    const skipped = own.kind === "publish" || made.length === 0 ? skipTask(own) : undefined;
    if (skipped === undefined || publishes < 2 || model.workflow.state !== "failed") return false;
    tasks[index] = skipped;
    publishes -= 1;
  } else {
    tasks[index] = resumeTask(own) ?? own;
  }
  const isRedone = type === "resumed" && pick % 3 === 0 && made.length === 0;
  for (const [at, task] of tasks.entries()) {
    if (task.state === "canceled" || isRedone) tasks[at] = resumeAny(task, isRedone);
  }
  const isListed = tasks.some(({ kind, state }) => kind === "list" && state === "succeeded");
  if (type === "publishedFirst" && isListed && publishes > made.length + 1) {
    tasks.push({ kind: "publish", ...NEW_TASK });
  }
  const tally = countTasks(
    tasks.map((task) => ({ ...task, count: 1 })),
    isListed ? publishes : 0,
  );
  const next = advance(model.workflow, undefined, { type: "resumed", tally }, POLICY);
  if ("refused" in next) return false;
  model.workflow = next.workflow;
  model.tasks = tasks;
  model.publishes = publishes;
  apply(model, next);
  return true;
}

/** Of failures, the others keep waiting for somebody. */
function resumeAny(task: TaskCondition, isRedone: boolean): TaskCondition {
  return task.state === "failed" ? task : (resumeTask(task, isRedone) ?? task);
}

function play(model: Model, given: Move): boolean {
  const { type, pick, retry, isAlone = false, awaits, staleBy } = given;
  if (type === "cancelRequested") return happen(model, undefined, { type });
  if (type === "resumed" || type === "feedLeftOut" || type === "publishedFirst") {
    return resolve(model, given);
  }
  const index = pick % model.tasks.length;
  const task = model.tasks[index];
  if (task === undefined) return false;
  const attempt = task.attempt - staleBy;
  switch (type) {
    case "claimed":
      return happen(model, index, { type });
    case "failed":
      return happen(model, index, {
        type,
        attempt,
        retry,
        isAlone,
        ...(awaits === true && task.kind === "list" ? { waitMs: 50 } : {}),
      });
    case "leaseLost":
      return happen(model, index, { type, attempt });
    case "released":
      // Only what is loaded with others is released, and once.
      if (task.kind !== "load" || (task.waits ?? 0) > 0) return false;
      return happen(model, index, { type, attempt });
    case "succeeded":
      return task.kind === "list"
        ? happen(model, index, {
            type: "listed",
            attempt,
            loads: model.loads,
            publishes: model.publishes,
          })
        : happen(model, index, { type, attempt });
  }
}

/** Plays every story move by move and looks at each state. */
function always(look: (model: Model, before: Model, move: Move, happened: boolean) => void): void {
  fc.assert(
    fc.property(story, ({ loads, publishes, moves }) => {
      const model = newModel(loads, publishes);
      for (const next of moves) {
        const before = { ...model, tasks: [...model.tasks] };
        look(model, before, next, play(model, next));
      }
    }),
    { numRuns: 500 },
  );
}

/** Lets workers answer well until nothing can be claimed and nothing runs. */
function answerAll(model: Model): void {
  for (let rounds = 0; rounds < 1000; rounds++) {
    const running = model.tasks.findIndex((task) => task.state === "running");
    const index =
      running >= 0 ? running : model.tasks.findIndex((task) => isClaimable(model.workflow, task));
    const task = model.tasks[index];
    if (task === undefined) return;
    const type = running >= 0 ? ("succeeded" as const) : ("claimed" as const);
    play(model, { type, pick: index, retry: false, staleBy: 0 });
  }
}

/** Resolves failure after failure, with workers that answer well, until nothing is left to resolve. */
function resolveAll(model: Model): void {
  answerAll(model);
  for (let rounds = 0; rounds < 100 && model.workflow.state === "failed"; rounds++) {
    resolve(model, { type: "resumed", pick: 1, retry: false, staleBy: 0 });
    answerAll(model);
  }
}

describe("whatever happens in whatever order", () => {
  test("a final state never changes", () => {
    always((model, before) => {
      if (isFinal(before.workflow.state)) expect(model.workflow.state).toBe(before.workflow.state);
      for (const [index, task] of before.tasks.entries()) {
        const isOver = task.state !== "waiting" && task.state !== "running";
        const mayComeBack = isResumable(before.workflow.state) && task.kind !== "discard";
        if (isOver && !mayComeBack) expect(model.tasks[index]).toEqual(task);
      }
    });
  });

  test("a workflow has succeeded if and only if every publish of it succeeded", () => {
    always((model) => {
      const publishes = model.tasks.filter(
        ({ kind, state }) => kind === "publish" && state !== "skipped",
      );
      const all =
        model.publishes > 0 &&
        publishes.length === model.publishes &&
        publishes.every((task) => task.state === "succeeded");
      if (model.publishes > 0) expect(model.workflow.state === "succeeded").toBe(all);
    });
  });

  test("a stale attempt changes nothing", () => {
    always((model, before, move, happened) => {
      const namesAttempt = ["succeeded", "failed", "leaseLost", "released"].includes(move.type);
      if (!namesAttempt || move.staleBy === 0) return;
      expect(happened).toBe(false);
      expect(model).toEqual(before);
    });
  });

  test("a task has at most one live attempt, and attempts count up by one with each claim", () => {
    always((model, before, move, happened) => {
      for (const [index, task] of before.tasks.entries()) {
        const after = model.tasks[index];
        if (after === undefined || after.attempt === task.attempt) continue;
        expect(move.type === "claimed" && happened && task.state === "waiting").toBe(true);
        expect(after).toMatchObject({ attempt: task.attempt + 1, state: "running" });
      }
    });
  });

  test("no list, load or new publish is claimed while a workflow is being stopped or has ended", () => {
    always((model, before, move) => {
      if (move.type !== "claimed") return;
      if (!isDraining(before.workflow.state) && !isEnded(before.workflow.state)) return;
      for (const [index, task] of before.tasks.entries()) {
        const isNew = task.kind === "list" || task.kind === "load" || task.attempt === task.floor;
        if (task.kind !== "discard" && isNew) expect(model.tasks[index]).toEqual(task);
      }
    });
  });

  test("no task has more attempts than the policy allows", () => {
    always((model) => {
      for (const task of model.tasks) {
        const limit = task.kind === "discard" ? POLICY.maxDiscardAttempts : POLICY.maxAttempts;
        expect(task.attempt - task.floor - (task.waits ?? 0)).toBeLessThanOrEqual(limit);
      }
    });
  });

  test("one discard is made when a workflow that was begun ends, and none while a load runs", () => {
    always((model, before) => {
      const discards = model.tasks.filter((task) => task.kind === "discard").length;
      expect(discards).toBeLessThanOrEqual(1);
      const had = before.tasks.some((task) => task.kind === "discard");
      if (discards === 1 && !had) {
        expect(model.tasks.some((task) => task.kind === "load" && task.state === "running")).toBe(
          false,
        );
        expect(isFinal(model.workflow.state)).toBe(true);
      }
      const begun = model.tasks.some((task) => task.kind === "list" && task.attempt > 0);
      if (begun && isFinal(model.workflow.state)) expect(discards).toBe(1);
    });
  });

  test("a publish that was claimed is ended by an outcome alone", () => {
    always((model, before, move) => {
      for (const [index, task] of before.tasks.entries()) {
        if (task.kind !== "publish" || task.attempt === task.floor) continue;
        if (task.state !== "waiting" && task.state !== "running") continue;
        const after = model.tasks[index];
        expect(["canceled", "skipped"]).not.toContain(after?.state);
        if (move.type === "cancelRequested") expect(after).toEqual(task);
      }
    });
  });

  test("the tally is what the tasks are", () => {
    always((model) => {
      const count = (kind: string, ...states: string[]): number =>
        model.tasks.filter((task) => task.kind === kind && states.includes(task.state)).length;
      const { tally } = model.workflow;
      expect(tally.listWaiting).toBe(count("list", "waiting"));
      expect(tally.listRunning).toBe(count("list", "running"));
      expect(tally.loadsWaiting).toBe(count("load", "waiting"));
      expect(tally.loadsRunning).toBe(count("load", "running"));
      expect(tally.publishesUntouched + tally.publishesBegun).toBe(
        count("publish", "waiting", "running"),
      );
      expect(tally.publishesSucceeded).toBe(count("publish", "succeeded"));
      const isLeft = ({ kind, state }: TaskCondition): boolean =>
        kind !== "discard" && state === "failed";
      expect(tally.failed).toBe(model.tasks.filter(isLeft).length);
      if (isResumable(model.workflow.state)) {
        expect(tally.loadsCanceled).toBe(count("load", "canceled"));
        expect(tally.publishesCanceled).toBe(count("publish", "canceled"));
      }
    });
  });

  test("every workflow ends once workers answer", () => {
    fc.assert(
      fc.property(story, ({ loads, publishes, moves }) => {
        const model = newModel(loads, publishes);
        for (const next of moves) play(model, next);
        answerAll(model);
        expect(isEnded(model.workflow.state)).toBe(true);
        for (const task of model.tasks) expect(["waiting", "running"]).not.toContain(task.state);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a failed workflow", () => {
  test("keeps what it staged until it is resolved or given up", () => {
    always((model) => {
      if (model.workflow.state !== "failed") return;
      expect(model.tasks.some(({ kind }) => kind === "discard")).toBe(false);
    });
  });

  test("rests on a failure that nobody has resolved, and on nothing else", () => {
    always((model) => {
      if (model.workflow.state !== "failed") return;
      expect(model.workflow.tally.failed).toBeGreaterThan(0);
      const { listRunning, loadsRunning, publishesBegun } = model.workflow.tally;
      expect(listRunning + loadsRunning + publishesBegun).toBe(0);
    });
  });

  test("ends well once every failure is resolved, doing nothing twice that was done", () => {
    fc.assert(
      fc.property(story, ({ loads, publishes, moves }) => {
        const model = newModel(loads, publishes);
        for (const next of moves) play(model, next);
        answerAll(model);
        const isResting = model.workflow.state === "failed";
        const before = [...model.tasks];
        resolveAll(model);
        expect(isFinal(model.workflow.state)).toBe(true);
        if (!isResting) return;
        expect(["succeeded", "skipped"]).toContain(model.workflow.state);
        for (const [index, task] of before.entries()) {
          if (task.state === "succeeded") expect(model.tasks[index]).toEqual(task);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("is given up by a cancel: what it staged is discarded, and it can't be resumed", () => {
    const model = newModel(1, 1);
    happen(model, 0, { type: "claimed" });
    happen(model, 0, { type: "failed", attempt: 1, retry: false, isAlone: false });
    expect(model.workflow.state).toBe("failed");
    happen(model, undefined, { type: "cancelRequested" });
    expect(model.workflow.state).toBe("abandoned");
    expect(model.tasks.map(({ kind }) => kind)).toEqual(["list", "discard"]);
    const tally = countTasks([], 0);
    expect(advance(model.workflow, undefined, { type: "resumed", tally }, POLICY)).toEqual({
      refused: "not_resumable",
    });
  });

  test("lets its other objects be loaded when one fails for itself, up to so many failures", () => {
    const model = newModel(5, 1);
    happen(model, 0, { type: "claimed" });
    happen(model, 0, { type: "listed", attempt: 1, loads: 5, publishes: 1 });
    const failNext = (): void => {
      const index = model.tasks.findIndex((task) => isClaimable(model.workflow, task));
      happen(model, index, { type: "claimed" });
      happen(model, index, { type: "failed", attempt: 1, retry: false, isAlone: true });
    };
    failNext();
    failNext();
    expect(model.workflow).toMatchObject({ state: "running", tally: { failed: 2 } });
    failNext();
    expect(model.workflow).toMatchObject({
      state: "failed",
      tally: { failed: 3, loadsCanceled: 2 },
    });
  });
});

describe("a workflow", () => {
  test("ends at once when it is canceled before anything was claimed, and discards nothing", () => {
    const next = advance(NEW_WORKFLOW, undefined, { type: "cancelRequested" }, POLICY);
    expect(next).toMatchObject({
      workflow: { state: "stopped" },
      effects: [{ type: "cancelUntouched" }, { type: "closeActions" }],
    });
  });

  test("that finds no object has nothing to do", () => {
    const model = newModel(0, 1);
    answerAll(model);
    expect(model.workflow.state).toBe("skipped");
    expect(model.tasks.map(({ kind }) => kind)).toEqual(["list", "discard"]);
  });

  test("looks for files that may still come as often as there is time, and stops when it is told to", () => {
    const model = newModel(1, 1);
    const lookInVain = (): void => {
      happen(model, 0, { type: "claimed" });
      const attempt = model.tasks[0]?.attempt ?? 0;
      happen(model, 0, { type: "failed", attempt, retry: false, isAlone: false, waitMs: 50 });
    };
    for (let look = 0; look < 3 * POLICY.maxAttempts; look++) lookInVain();
    expect(model.workflow.state).toBe("running");
    // What goes wrong meanwhile still has all of its attempts.
    happen(model, 0, { type: "claimed" });
    happen(model, 0, {
      type: "failed",
      attempt: 3 * POLICY.maxAttempts + 1,
      retry: true,
      isAlone: false,
    });
    expect(model.tasks[0]?.state).toBe("waiting");
    happen(model, 0, { type: "claimed" });
    happen(model, undefined, { type: "cancelRequested" });
    const attempt = model.tasks[0]?.attempt ?? 0;
    happen(model, 0, { type: "failed", attempt, retry: false, isAlone: false, waitMs: 50 });
    expect(model.workflow.state).toBe("stopped");
  });

  test("that is canceled during its only publish succeeds when the publish does", () => {
    const model = newModel(1, 1);
    while (!model.tasks.some((task) => task.kind === "publish" && task.state === "running")) {
      const index = model.tasks.findIndex((task) => task.state === "running");
      const claimable = model.tasks.findIndex((task) => isClaimable(model.workflow, task));
      if (index >= 0) play(model, { type: "succeeded", pick: index, retry: false, staleBy: 0 });
      else play(model, { type: "claimed", pick: claimable, retry: false, staleBy: 0 });
    }
    happen(model, undefined, { type: "cancelRequested" });
    expect(model.workflow.state).toBe("stopping");
    expect(isToldToStop(model.workflow.state, "publish")).toBe(false);
    answerAll(model);
    expect(model.workflow.state).toBe("succeeded");
  });
});

test("the pauses between attempts double up to the longest, ten minutes in all", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 7].map((attempt) =>
    retryDelayMs(DEFAULT_RETRY_POLICY, attempt),
  );
  expect(pauses).toEqual([4_700, 9_400, 18_800, 37_600, 75_200, 150_400, 300_000]);
  const total = pauses.reduce((sum, pause) => sum + pause, 0);
  expect(total).toBeGreaterThan(9.5 * 60_000);
  expect(total).toBeLessThan(10.5 * 60_000);
  expect(retryDelayMs(DEFAULT_RETRY_POLICY, 90)).toBe(300_000);
});
