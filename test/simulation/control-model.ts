import {
  type Advance,
  advance,
  type Event,
  isClaimable,
  isEnded,
  isFinal,
  isToldToStop,
  NEW_WORKFLOW,
  type RetryPolicy,
  type WorkflowCondition,
} from "@sluice/control/state-machine";
import { countTasks, NEW_TASK, resumeTask, type TaskCondition } from "@sluice/control/tally";
import type { LoadOperation } from "@sluice/schema";
import type { ModelObject } from "./bucket-model.ts";

export interface ModelTask {
  readonly id: string;
  readonly workflow: ModelWorkflow;
  /** Of a load or a publish: which feed. */
  readonly feed?: string;
  /** Of a load: the object, as it was listed or pinned by a resolution, and its place in the domain table's life. */
  object?: ModelObject;
  readonly ordinal?: number;
  condition: TaskCondition;
  availableAt: number;
  leaseEnd: number;
  checkpoint: Checkpoint;
  /** How often it was begun anew; undefined for never. */
  generation?: number;
  /** Its last failure. */
  failure?: ModelFailure;
  intent?: Intent;
}

export interface Checkpoint {
  readonly batches: number;
  /** Rejected ones included. */
  readonly rows: number;
  readonly rejected: number;
}

export interface ModelFailure {
  /** `stage.code`. */
  readonly name: string;
  readonly retry: boolean;
  /** Of this object, and of no other. */
  readonly isAlone: boolean;
  /** What was staged is worth nothing. */
  readonly isOfBytes: boolean;
  /** Another workflow has to take this one's place. */
  readonly wantsRestart: boolean;
}

export interface Intent {
  readonly stagingUuid: string;
  readonly rowsUuid: string;
}

export interface ModelWorkflow {
  readonly id: string;
  readonly feeds: readonly string[];
  readonly operation: LoadOperation;
  readonly prefix: string;
  condition: WorkflowCondition;
  objects: readonly ModelObject[];
  firstOrdinal: number;
}

/** A task as a worker gets it. */
export interface ModelLease {
  readonly task: ModelTask;
  readonly attempt: number;
  readonly leaseMs: number;
  readonly checkpoint: Checkpoint;
  /** Of a publish: what an earlier attempt said. */
  readonly intent: Intent | undefined;
  /** Of a publish: what each object of the feed must have staged. */
  readonly sent: readonly { readonly key: string; readonly rows: number }[];
}

/** The attempt is not the newest live one: whoever hears this has lost its lease. */
export class Refused extends Error {
  override readonly name: string = "Refused";
}

const NOTHING: Checkpoint = { batches: 0, rows: 0, rejected: 0 };

/**
 * Control with its database: each method is one transaction. What happens to workflows and tasks is the product's
 * `advance`; what is written here is what its engine makes of the effects.
 */
export class ControlModel {
  readonly workflows: ModelWorkflow[] = [];
  readonly tasks: ModelTask[] = [];
  readonly #now: () => number;
  readonly #policy: RetryPolicy;
  readonly #leaseMs: number;
  #ordinals = 0;

  constructor(options: {
    readonly now: () => number;
    readonly policy: RetryPolicy;
    readonly leaseMs: number;
  }) {
    this.#now = options.now;
    this.#policy = options.policy;
    this.#leaseMs = options.leaseMs;
  }

  begin(plan: Pick<ModelWorkflow, "id" | "feeds" | "operation" | "prefix">): void {
    const workflow = { ...plan, condition: NEW_WORKFLOW, objects: [], firstOrdinal: 0 };
    this.workflows.push(workflow);
    this.#add(workflow, { kind: "list" });
  }

  /** The task that a worker is given next, if there is one: what ends a workflow first, then lists, then loads. */
  claim(): ModelLease | undefined {
    const order = ["publish", "discard", "list", "load"];
    const [task] = this.tasks
      .filter((each) => this.#isGivenOut(each))
      .sort((a, b) => order.indexOf(a.condition.kind) - order.indexOf(b.condition.kind));
    if (task === undefined) return undefined;
    this.#step(task, { type: "claimed" });
    task.leaseEnd = this.#now() + this.#leaseMs;
    return {
      task,
      attempt: task.condition.attempt,
      leaseMs: this.#leaseMs,
      checkpoint: task.checkpoint,
      intent: task.intent,
      sent: this.tasks.flatMap((other) =>
        other.workflow === task.workflow &&
        other.feed === task.feed &&
        other.condition.kind === "load" &&
        other.object !== undefined
          ? [{ key: other.object.key, rows: other.checkpoint.rows }]
          : [],
      ),
    };
  }

  #isGivenOut(task: ModelTask): boolean {
    const { condition, workflow } = task;
    if (!isClaimable(workflow.condition, condition) || task.availableAt > this.#now()) return false;
    // One publish of a feed at a time, across workflows.
    return !(
      condition.kind === "publish" &&
      this.tasks.some(
        (other) =>
          other !== task &&
          other.feed === task.feed &&
          other.condition.kind === "publish" &&
          other.condition.attempt > other.condition.floor &&
          (other.condition.state === "waiting" || other.condition.state === "running"),
      )
    );
  }

  /** Renews a lease, and keeps how far the task is. */
  heartbeat({ task, attempt }: ModelLease, checkpoint: Checkpoint | undefined): { stop: boolean } {
    this.#assertLive(task, attempt);
    if (checkpoint !== undefined) this.#keep(task, checkpoint);
    const stop = isToldToStop(task.workflow.condition.state, task.condition.kind);
    if (!stop) task.leaseEnd = this.#now() + this.#leaseMs;
    return { stop };
  }

  recordIntent({ task, attempt }: ModelLease, intent: Intent): Intent {
    this.#assertLive(task, attempt);
    task.intent ??= intent;
    return task.intent;
  }

  listed(lease: ModelLease, objects: readonly ModelObject[]): void {
    const { task, attempt } = lease;
    if (this.#isRepeated(task, attempt)) return;
    const { workflow } = task;
    this.#assertLive(task, attempt);
    workflow.objects = objects;
    workflow.firstOrdinal = this.#ordinals;
    this.#ordinals += objects.length;
    const { feeds } = workflow;
    this.#step(task, {
      type: "listed",
      attempt,
      loads: objects.length * feeds.length,
      publishes: objects.length === 0 ? 0 : feeds.length,
    });
  }

  complete({ task, attempt }: ModelLease, checkpoint: Checkpoint | undefined): void {
    if (this.#isRepeated(task, attempt)) return;
    this.#assertLive(task, attempt);
    if (checkpoint !== undefined) this.#keep(task, checkpoint);
    this.#step(task, { type: "succeeded", attempt });
  }

  fail(
    { task, attempt }: ModelLease,
    failure: ModelFailure,
    checkpoint: Checkpoint | undefined,
  ): void {
    const { retry, isAlone, isOfBytes } = failure;
    // Said before, and heard: the answer was lost.
    if (task.condition.attempt === attempt && task.condition.state !== "running") return;
    this.#assertLive(task, attempt);
    if (checkpoint !== undefined) this.#keep(task, checkpoint);
    task.failure = failure;
    this.#step(task, { type: "failed", attempt, retry, isAlone });
    if (isOfBytes && task.condition.state === "waiting") this.#beginAnew(task);
  }

  /** Takes the leases that ran out. */
  sweep(): void {
    for (const task of this.tasks) {
      const { state, attempt } = task.condition;
      if (state === "running" && task.leaseEnd < this.#now()) {
        this.#step(task, { type: "leaseLost", attempt });
      }
    }
  }

  cancel(workflow: ModelWorkflow): void {
    this.#apply(
      workflow,
      undefined,
      advance(workflow.condition, undefined, { type: "cancelRequested" }, this.#policy),
    );
  }

  /** Resolves all failures of a workflow that rests: what failed is done again, by what is in the bucket now. */
  resume(workflow: ModelWorkflow, bucket: readonly ModelObject[]): void {
    if (workflow.condition.state !== "failed") return;
    const own = this.tasks.filter((task) => task.workflow === workflow);
    for (const task of own) {
      const isFailed = task.condition.state === "failed";
      const next = resumeTask(task.condition);
      if (next === undefined) continue;
      task.condition = next;
      task.availableAt = 0;
      if (!isFailed || task.condition.kind !== "load") continue;
      const there = bucket.find(({ key }) => key === task.object?.key);
      const isReplaced = there !== undefined && there.version !== task.object?.version;
      if (there !== undefined) task.object = there;
      if (isReplaced || task.failure?.isOfBytes === true) this.#beginAnew(task);
    }
    const isListed = own.some(
      ({ condition: { kind, state } }) => kind === "list" && state === "succeeded",
    );
    const publishes = isListed && workflow.objects.length > 0 ? workflow.feeds.length : 0;
    const tally = countTasks(
      this.tasks
        .filter((task) => task.workflow === workflow)
        .map(({ condition }) => ({ ...condition, count: 1 })),
      publishes,
    );
    const next = advance(workflow.condition, undefined, { type: "resumed", tally }, this.#policy);
    this.#apply(workflow, undefined, next);
  }

  ended(ids: readonly string[]): string[] {
    return this.workflows
      .filter(({ id, condition }) => ids.includes(id) && isFinal(condition.state))
      .map(({ id }) => id);
  }

  /** Whether nothing runs, waits or rests any more, of any workflow. */
  isQuiet(): boolean {
    return (
      this.workflows.every(({ condition }) => isFinal(condition.state)) &&
      this.tasks.every(({ condition: { state } }) => state !== "running" && state !== "waiting")
    );
  }

  resting(): readonly ModelWorkflow[] {
    return this.workflows.filter(({ condition }) => condition.state === "failed");
  }

  going(): readonly ModelWorkflow[] {
    return this.workflows.filter(({ condition }) => !isEnded(condition.state));
  }

  #beginAnew(task: ModelTask): void {
    task.generation = (task.generation ?? 0) + 1;
    task.checkpoint = NOTHING;
  }

  #keep(task: ModelTask, checkpoint: Checkpoint): void {
    if (task.condition.kind === "load" && checkpoint.batches >= task.checkpoint.batches) {
      task.checkpoint = checkpoint;
    }
  }

  #isRepeated({ condition }: ModelTask, attempt: number): boolean {
    return condition.state === "succeeded" && condition.attempt === attempt;
  }

  #assertLive({ id, condition }: ModelTask, attempt: number): void {
    if (condition.state !== "running" || condition.attempt !== attempt) {
      throw new Refused(`attempt ${attempt} of ${id} is not the newest`);
    }
  }

  #step(task: ModelTask, event: Event): void {
    const next = advance(task.workflow.condition, task.condition, event, this.#policy);
    if ("refused" in next) throw new Refused(next.refused);
    this.#apply(task.workflow, task, next);
  }

  #apply(
    workflow: ModelWorkflow,
    task: ModelTask | undefined,
    next: Advance | { readonly refused: string },
  ): void {
    if ("refused" in next) throw new Refused(next.refused);
    workflow.condition = next.workflow;
    if (task !== undefined && next.task !== undefined) task.condition = next.task;
    const own = this.tasks.filter((each) => each.workflow === workflow);
    for (const effect of next.effects) {
      switch (effect.type) {
        case "makeLoads":
          for (const [at, object] of workflow.objects.entries()) {
            for (const feed of workflow.feeds) {
              this.#add(workflow, {
                kind: "load",
                feed,
                object,
                ordinal: workflow.firstOrdinal + at,
              });
            }
          }
          break;
        case "makePublishes": {
          const made = new Set(
            own.flatMap(({ condition, feed }) => (condition.kind === "publish" ? [feed] : [])),
          );
          for (const feed of workflow.feeds) {
            if (!made.has(feed)) this.#add(workflow, { kind: "publish", feed });
          }
          break;
        }
        case "makeDiscard":
          this.#add(workflow, { kind: "discard" });
          break;
        case "cancelUntouched":
          for (const each of own) {
            const { kind, state, attempt, floor } = each.condition;
            const isBegun = kind === "publish" && attempt > floor;
            if (state === "waiting" && kind !== "discard" && !isBegun) {
              each.condition = { ...each.condition, state: "canceled" };
            }
          }
          break;
        case "delay":
          if (task !== undefined) task.availableAt = this.#now() + effect.delayMs;
          break;
        default:
          break;
      }
    }
  }

  #add(
    workflow: ModelWorkflow,
    task: {
      readonly kind: TaskCondition["kind"];
      readonly feed?: string;
      readonly object?: ModelObject;
      readonly ordinal?: number;
    },
  ): void {
    const { kind, ...rest } = task;
    this.tasks.push({
      ...rest,
      id: `task-${this.tasks.length}`,
      workflow,
      condition: { kind, ...NEW_TASK },
      availableAt: 0,
      leaseEnd: 0,
      checkpoint: NOTHING,
    });
  }
}
