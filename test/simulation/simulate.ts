import { StageError } from "@sluice/errors";
import { createRandom, type Random } from "../chaos/random.ts";
import { BucketModel } from "./bucket-model.ts";
import { type ClickHouseModel, createClickHouseModel } from "./clickhouse-model.ts";
import { ControlModel, type ModelWorkflow } from "./control-model.ts";
import { makeFeed } from "./feeds.ts";
import { createProcess, type Fate, type Host, type Process } from "./process.ts";
import { createReaders, leftBehind } from "./readers.ts";
import { createTimeline, type Timeline } from "./timeline.ts";
import { connectWarehouse } from "./warehouse-client.ts";
import { startWorker, sweepOnce, type WorkerWorld } from "./worker-model.ts";

/** Guards of the product that can be taken away, to see that their absence is found. */
export const SABOTAGES = ["no deduplication", "no fencing", "blind exchange"] as const;
export type Sabotage = (typeof SABOTAGES)[number];

export function isSabotage(name: string): name is Sabotage {
  return SABOTAGES.some((sabotage) => sabotage === name);
}

export interface Story {
  readonly seed: string;
  /** What is not as it has to be; empty for a good story. */
  readonly violations: readonly string[];
  /** What happened, line by line. */
  readonly log: readonly string[];
  /** Statements that ClickHouse carried out. */
  readonly statements: number;
  readonly endedAtMs: number;
}

const LEASE_MS = 15_000;
/** How long a request may be on its way. */
const LONGEST_WAY_MS = 20_000;
const HOUR_MS = 3_600_000;
const POLICY = {
  maxAttempts: 6,
  maxDiscardAttempts: 100,
  firstDelayMs: 2_000,
  maxDelayMs: 60_000,
  maxFailures: 3,
};

/** Plays one story: what happens in it, and in which order, follows from the seed alone. */
export async function simulate(seed: string, sabotage?: Sabotage): Promise<Story> {
  const random = createRandom(seed);
  const timeline = createTimeline(random);
  const log: string[] = [];
  const violations: string[] = [];
  const say = (line: string): void => {
    log.push(`${(timeline.now() / 1000).toFixed(3)} ${line}`);
  };
  const world = makeWorld({ random, timeline, say, violations, sabotage });
  const isOver = await timeline.play(world.isOver, world.calmAtMs + 2 * HOUR_MS);
  if (!isOver) violations.push(`it did not end: ${world.open()}`);
  // What is still on its way arrives, and changes nothing any more.
  const endedAtMs = timeline.now();
  world.stop();
  await timeline.play(() => false, endedAtMs + LONGEST_WAY_MS);
  await timeline.play(world.sweep(), endedAtMs + 2 * LONGEST_WAY_MS);
  if (isOver) violations.push(...world.wrongAtEnd());
  return { seed, violations, log, statements: world.statements(), endedAtMs };
}

interface Scene {
  readonly random: Random;
  readonly timeline: Timeline;
  readonly say: (line: string) => void;
  readonly violations: string[];
  readonly sabotage: Sabotage | undefined;
}

interface World {
  /** From when on nothing bad happens any more. */
  readonly calmAtMs: number;
  isOver(): boolean;
  /** Ends all processes of ours. */
  stop(): void;
  /** Begins a last look for what was left behind; gives whether it is over. */
  sweep(): () => boolean;
  open(): string;
  wrongAtEnd(): string[];
  statements(): number;
}

function makeWorld(scene: Scene): World {
  const { random, timeline, say, violations, sabotage } = scene;
  const calmAtMs = 20_000 + random.below(120_000);
  const badShare = random.pick([0, 0.02, 0.08, 0.2]);
  /** Of the statements by which tables change places, which are few. */
  const badPublishShare = random.pick([0, 0.1, 0.5]);
  let isStopped = false;
  const isCalm = (): boolean => isStopped || timeline.now() >= calmAtMs;
  let statements = 0;

  const host = (name: string): Host & { downUntil: number; killedAt: number } => ({
    downUntil: 0,
    killedAt: Number.NEGATIVE_INFINITY,
    isGivenUp: false,
    isDown() {
      return timeline.now() < this.downUntil;
    },
    unavailable: () =>
      name === "bucket"
        ? new StageError("fetch", "interrupted", "the bucket does not answer")
        : new StageError("load", "unavailable", `${name} does not answer`),
    fate(isPublish): Fate {
      const delayMs = 1 + random.next() * (random.below(10) === 0 ? 500 : 15);
      const share = isPublish ? Math.max(badShare, badPublishShare) : badShare;
      if (isCalm() || random.next() >= share) return { delayMs, kind: "well" };
      if (isPublish && random.below(3) === 0) {
        return { delayMs, kind: "well", pauseMs: random.below(3 * LEASE_MS) };
      }
      const kind = random.pick(["lost", "answer lost", "late", "well"] as const);
      return {
        kind,
        delayMs: kind === "late" || kind === "well" ? random.below(LONGEST_WAY_MS) : delayMs,
      };
    },
  });
  const kill = (killed: ReturnType<typeof host>, ms: number): void => {
    killed.killedAt = timeline.now();
    killed.downUntil = timeline.now() + ms;
  };
  const [clickHouse, controlHost, bucketHost] = [
    host("clickhouse"),
    host("control"),
    host("bucket"),
  ];
  const control = new ControlModel({ now: timeline.now, policy: POLICY, leaseMs: LEASE_MS });
  const bucket = new BucketModel(random);
  const feeds = new Map(["orders", "items"].slice(0, 1 + random.below(2)).map(makeFeed));
  const readers = createReaders([...feeds.keys()], control, violations, say);
  const model: ClickHouseModel = createClickHouseModel({
    now: timeline.now,
    onChange: (isTorn) => {
      readers.look(model, isTorn);
    },
    tornMove(parts) {
      // Of one that nobody waits for any more, with its repetition on the way, parts stand in both tables below the views.
      if (parts === 0 || clickHouse.isGivenUp || isCalm() || random.next() >= badPublishShare / 2)
        return undefined;
      kill(clickHouse, 1_000 + random.below(5_000));
      say("ClickHouse is killed in a MOVE");
      return 1 + random.below(parts);
    },
    deduplicates: sabotage !== "no deduplication",
  });
  const known = <T>(carryOut: () => T): T => {
    statements += 1;
    try {
      return carryOut();
    } catch (error) {
      // Of the model itself: a statement that it does not know.
      if (!(error instanceof StageError)) violations.push(String(error));
      throw error;
    }
  };
  const watched: ClickHouseModel = {
    ...model,
    query: (statement, parameters) => known(() => model.query(statement, parameters)),
    insert: (request) => known(() => model.insert(request)),
    execute(statement) {
      say(statement);
      known(() => model.execute(statement));
      if (clickHouse.isDown()) throw clickHouse.unavailable();
    },
  };

  const keeps = random.below(2) === 0;
  const workers: Process[] = Array.from({ length: 1 + random.below(3) }, (_, at) =>
    createProcess(`worker-${at}`, timeline, random),
  );
  const workerWorld: WorkerWorld = {
    timeline,
    control,
    controlHost,
    bucket,
    bucketHost,
    warehouseOf: (own) => {
      const warehouse = connectWarehouse(watched, clickHouse, own, timeline, random.next);
      if (sabotage !== "blind exchange") return warehouse;
      // Repeats what must not be repeated, without a look.
      const { execute, executeLong } = warehouse;
      return {
        ...warehouse,
        executeLong: async (statement, signal) =>
          statement.startsWith("EXCHANGE")
            ? await execute(statement)
            : await executeLong(statement, signal),
      };
    },
    feeds,
    keepReplacedTables: keeps,
    fencingNumber: (attempt) => (sabotage === "no fencing" ? 1 : attempt),
  };
  const startOne = (process: Process): void => startWorker(process, workerWorld, 2);
  for (const worker of workers) startOne(worker);

  /** Calls again and again, with pauses of chance around `meanMs`. */
  const often = (meanMs: number, happen: () => void): void => {
    timeline.after(meanMs * (0.2 + 1.6 * random.next()), () => {
      happen();
      often(meanMs, happen);
    });
  };
  often(1_000, () => {
    if (!controlHost.isDown()) control.sweep();
  });

  const begun = beginWorkflows(scene, control, bucket, [...feeds.keys()], calmAtMs);
  const mayHappen: (() => void)[] = [
    () => {
      const worker = random.pick(workers);
      say(`${worker.id} is killed`);
      worker.kill();
      timeline.after(500 + random.below(10_000), () => startOne(worker));
    },
    () => {
      const worker = random.pick(workers);
      const ms = random.below(4 * LEASE_MS);
      say(`${worker.id} stands still for ${ms} ms`);
      worker.pause(ms);
    },
    () => {
      kill(clickHouse, random.below(20_000));
      say("ClickHouse is killed");
    },
    () => {
      kill(controlHost, random.below(20_000));
      say("control is killed");
    },
    () => {
      const [workflow] = control.going();
      if (workflow === undefined || random.below(4) > 0) return;
      say(`${workflow.id} is canceled`);
      control.cancel(workflow);
    },
    () => {
      const objects = bucket.list("");
      if (objects.length === 0) return;
      const { key } = random.pick(objects);
      say(`${key} is replaced`);
      bucket.put(key);
    },
  ];
  const eventMs = random.pick([3_000, 10_000, 60_000]);
  often(eventMs, () => {
    if (!isCalm()) random.pick(mayHappen)();
  });
  // Somebody resolves what rests.
  often(10_000, () => {
    for (const workflow of control.resting()) {
      const failures = control.tasks.flatMap(({ workflow: of, condition, failure }) =>
        of === workflow && condition.state === "failed" && failure !== undefined ? [failure] : [],
      );
      say(`${workflow.id} rests: ${failures.map(({ name }) => name).join(", ")}`);
      if (failures.some(({ wantsRestart }) => wantsRestart)) begun.restart(workflow);
      else if (random.below(10) === 0) control.cancel(workflow);
      else control.resume(workflow, bucket.list(""));
    }
  });

  return {
    calmAtMs,
    isOver: () => begun.areAllBegun() && control.isQuiet(),
    stop() {
      for (const worker of workers) worker.kill();
      isStopped = true;
    },
    sweep() {
      clickHouse.downUntil = 0;
      controlHost.downUntil = 0;
      let isOver = false;
      const sweeper = createProcess("sweeper", timeline, random);
      void sweepOnce(sweeper, workerWorld).then(() => {
        isOver = true;
      });
      return () => isOver;
    },
    open: () =>
      control.tasks
        .filter(({ condition: { state } }) => state === "running" || state === "waiting")
        .map(
          ({ id, condition, workflow }) =>
            `${workflow.id} ${id} ${condition.kind} ${condition.state}`,
        )
        .join(", "),
    wrongAtEnd: () => [...readers.wrongAtEnd(model), ...leftBehind(model, control, keeps)],
    statements: () => statements,
  };
}

interface Begun {
  areAllBegun(): boolean;
  /** Gives a workflow up, and begins another one in its place. */
  restart(workflow: ModelWorkflow): void;
}

/** One to three workflows, of files of their own or of the same, which begin at moments of chance. */
function beginWorkflows(
  { random, timeline, say }: Scene,
  control: ControlModel,
  bucket: BucketModel,
  feeds: readonly string[],
  calmAtMs: number,
): Begun {
  let waiting = 1 + random.below(3);
  let made = 0;
  const begin = (plan: Pick<ModelWorkflow, "feeds" | "operation" | "prefix">): void => {
    made += 1;
    const { operation, prefix } = plan;
    say(`workflow ${made} begins: ${operation} of ${prefix}`);
    control.begin({ ...plan, id: `wf_${String(made).padStart(20, "0")}` });
  };
  for (let left = waiting; left > 0; left--) {
    timeline.after(random.below(calmAtMs), () => {
      const prefix = `day${random.below(2)}/`;
      if (bucket.list(prefix).length === 0) {
        for (let at = random.below(4); at >= 0; at--) bucket.put(`${prefix}${at}`);
      }
      begin({ feeds, operation: random.pick(["load", "truncate_and_load"] as const), prefix });
      waiting -= 1;
    });
  }
  return {
    areAllBegun: () => waiting === 0,
    restart(workflow) {
      control.cancel(workflow);
      begin(workflow);
    },
  };
}
