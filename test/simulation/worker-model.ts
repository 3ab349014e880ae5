import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { LeaseSchema, PublishWorkSchema } from "@sluice/api/ingest/v1/task_pb";
import {
  FindEndedWorkflowsResponseSchema,
  RecordPublishIntentResponseSchema,
} from "@sluice/api/ingest/v1/task_service_pb";
import { StageError } from "@sluice/errors";
import { type PublishContext, publishFeed } from "@sluice/ingest/publish-feed";
import { dropLeftovers } from "@sluice/ingest/sweep";
import {
  createStaging,
  dropStaging,
  loadBatches,
  lookAtDomainTable,
  matchColumns,
  prepareDomainTable,
  removeStaged,
  type Warehouse,
} from "@sluice/load";
import type { Batch } from "@sluice/schema";
import { type BucketModel, rowsOf } from "./bucket-model.ts";
import {
  type Checkpoint,
  type ControlModel,
  type Intent,
  type ModelFailure,
  type ModelLease,
  Refused,
} from "./control-model.ts";
import type { ModelFeed } from "./feeds.ts";
import type { Host, Process } from "./process.ts";
import type { Timeline } from "./timeline.ts";

/** What a worker works with. */
export interface WorkerWorld {
  readonly timeline: Timeline;
  readonly control: ControlModel;
  readonly controlHost: Host;
  readonly bucket: BucketModel;
  readonly bucketHost: Host;
  readonly warehouseOf: (process: Process) => Warehouse;
  readonly feeds: ReadonlyMap<string, ModelFeed>;
  readonly keepReplacedTables: boolean;
  /** The number by which an attempt fences off those before it. */
  readonly fencingNumber: (attempt: number) => number;
}

const HEARTBEAT_MS = 1_000;
const SWEEP_MS = 60_000;
const ASK_AGAIN_MS = 500;
/** Control would keep a call waiting until there is something to do. */
const CLAIM_AGAIN_MS = 1_500;
const COLUMNS = [
  { name: "id", type: "String" },
  { name: "key", type: "String" },
];

class Stopped extends Error {
  override readonly name: string = "Stopped";
}

/** Lets a process claim tasks and work on them, `slots` at a time, for as long as it lives. */
export function startWorker(process: Process, world: WorkerWorld, slots: number): void {
  const warehouse = world.warehouseOf(process);
  const claimAndWork = async (): Promise<never> => {
    for (;;) {
      const lease = await process
        .request(world.controlHost, () => world.control.claim())
        .catch(() => undefined);
      if (lease === undefined) await process.sleep(CLAIM_AGAIN_MS);
      else await workOn(lease, process, world, warehouse);
    }
  };
  for (let slot = 0; slot < slots; slot++) void claimAndWork();
  const sweep = async (): Promise<never> => {
    for (;;) {
      await process.sleep(SWEEP_MS);
      await sweepOnce(process, world).catch(() => undefined);
    }
  };
  void sweep();
}

/** Drops what workflows that are over left behind. */
export async function sweepOnce(process: Process, world: WorkerWorld): Promise<void> {
  const { control, controlHost } = world;
  const client = clientOf({
    async FindEndedWorkflows({ workflowIds }: { readonly workflowIds: readonly string[] }) {
      const ended = await process.request(controlHost, () => control.ended(workflowIds));
      return create(FindEndedWorkflowsResponseSchema, { workflowIds: ended });
    },
  });
  const warehouse = world.warehouseOf(process);
  await dropLeftovers({ client, warehouse }, new AbortController().signal);
}

/** The methods of control that a piece of the product calls, by their names. */
function clientOf(
  methods: Readonly<Record<string, (request: never) => Promise<Message>>>,
): PublishContext["client"] {
  return {
    async call<I extends DescMessage, O extends DescMessage>(
      { name }: DescMethodUnary<I, O>,
      request: unknown,
    ): Promise<MessageShape<O>> {
      const method = methods[name];
      if (method === undefined) throw new Error(`nobody answers ${name}`);
      return (await method(request as never)) as MessageShape<O>;
    },
    close: () => undefined,
  };
}

/** What a worker does from a lease to its end; `services/ingest/src/worker.ts` in the small. */
async function workOn(
  lease: ModelLease,
  process: Process,
  world: WorkerWorld,
  warehouse: Warehouse,
): Promise<void> {
  const { control, controlHost, timeline } = world;
  const lost = new AbortController();
  let isDone = false;
  let checkpoint: Checkpoint | undefined;
  const beat = async (): Promise<void> => {
    let expiresAt = timeline.now() + lease.leaseMs;
    while (!isDone && !lost.signal.aborted) {
      await process.sleep(HEARTBEAT_MS);
      if (isDone) return;
      const askedAt = timeline.now();
      try {
        const { stop } = await process.request(controlHost, () =>
          control.heartbeat(lease, checkpoint),
        );
        if (stop) lost.abort(new Stopped());
        else expiresAt = askedAt + lease.leaseMs;
      } catch (error) {
        if (error instanceof Refused || timeline.now() > expiresAt) lost.abort(error);
      }
    }
  };
  void beat();
  const tellUntilHeard = async (signal: AbortSignal | undefined, tell: () => void) => {
    for (;;) {
      try {
        return await process.request(controlHost, tell, signal);
      } catch (error) {
        if (error instanceof Refused) throw error;
        signal?.throwIfAborted();
        await process.sleep(ASK_AGAIN_MS);
      }
    }
  };
  try {
    const end = await perform(lease, process, world, warehouse, lost.signal, (next) => {
      checkpoint = next;
    });
    await tellUntilHeard(lost.signal, () => end(control));
  } catch (error) {
    if (error instanceof Refused) return;
    if (lost.signal.aborted && !(lost.signal.reason instanceof Stopped)) return;
    const failure = toFailure(lost.signal.aborted ? lost.signal.reason : error);
    const giveUp = new AbortController();
    if (lost.signal.aborted) timeline.after(lease.leaseMs, () => giveUp.abort());
    await tellUntilHeard(lost.signal.aborted ? giveUp.signal : lost.signal, () =>
      control.fail(lease, failure, checkpoint),
    ).catch(() => undefined);
  } finally {
    isDone = true;
  }
}

/** Does what a task is about, and gives what is to be told of its end. */
async function perform(
  lease: ModelLease,
  process: Process,
  world: WorkerWorld,
  warehouse: Warehouse,
  signal: AbortSignal,
  onCheckpoint: (checkpoint: Checkpoint) => void,
): Promise<(control: ControlModel) => void> {
  const { workflow, condition } = lease.task;
  switch (condition.kind) {
    case "list": {
      const objects = await process.request(
        world.bucketHost,
        () => world.bucket.list(workflow.prefix),
        signal,
      );
      for (const name of workflow.feeds) {
        const { feed } = feedOf(world, name);
        const shape = await prepareDomainTable(
          warehouse,
          feed,
          await lookAtDomainTable(warehouse, feed),
        );
        await createStaging(warehouse, feed, workflow.id, shape);
      }
      return (control) => control.listed(lease, objects);
    }
    case "load": {
      const checkpoint = await load(lease, process, world, warehouse, signal, onCheckpoint);
      return (control) => control.complete(lease, checkpoint);
    }
    case "publish":
      await publish(lease, process, world, warehouse, signal);
      return (control) => control.complete(lease, undefined);
    case "discard":
      for (const name of workflow.feeds) {
        await dropStaging(warehouse, feedOf(world, name).feed, workflow.id);
      }
      return (control) => control.complete(lease, undefined);
  }
}

async function load(
  { task, checkpoint: resumeAt }: ModelLease,
  process: Process,
  world: WorkerWorld,
  warehouse: Warehouse,
  signal: AbortSignal,
  onCheckpoint: (checkpoint: Checkpoint) => void,
): Promise<Checkpoint> {
  const { object, ordinal, feed: name, workflow, generation } = task;
  if (object === undefined || ordinal === undefined) throw new Error("a load without an object");
  const { bucket, bucketHost } = world;
  const { feed } = feedOf(world, name);
  let checkpoint = resumeAt;
  if (generation !== undefined && checkpoint.batches === 0) {
    await removeStaged(warehouse, feed, workflow.id, { ordinal });
  }
  const read = (): void => {
    if (bucket.get(object.key)?.version === object.version) return;
    throw new StageError("fetch", "object_changed", "another version is there", {
      key: object.key,
    });
  };
  const batches = async function* (): AsyncGenerator<Batch> {
    let firstRow = 1;
    for (const [batch, { length }] of object.batches.entries()) {
      await process.request(bucketHost, read, signal);
      const body = Buffer.from(JSON.stringify(rowsOf(object, ordinal, batch)));
      yield {
        ordinal: batch,
        firstRow,
        rows: length,
        body: [body],
        byteLength: body.byteLength,
        release: () => undefined,
      };
      firstRow += length;
    }
  };
  await loadBatches({
    warehouse,
    feed,
    workflowId: workflow.id,
    object: {
      bucket: "bucket",
      key: object.key,
      etag: `"${object.version}"`,
      size: object.batches.length,
      ordinal,
      ...(generation === undefined ? {} : { generation }),
    },
    entry: "",
    rowBase: 0,
    plan: matchColumns(feed, COLUMNS).plan,
    resumeAt: { ordinal: checkpoint.batches },
    signal,
    onAcknowledged({ ordinal: batch, rows, rejected }) {
      checkpoint = {
        batches: batch + 1,
        rows: checkpoint.rows + rows,
        rejected: checkpoint.rejected + rejected,
      };
      onCheckpoint(checkpoint);
    },
  })(batches());
  return checkpoint;
}

async function publish(
  lease: ModelLease,
  process: Process,
  world: WorkerWorld,
  warehouse: Warehouse,
  signal: AbortSignal,
): Promise<void> {
  const { task, sent, intent } = lease;
  const { workflow } = task;
  const { control, controlHost, keepReplacedTables } = world;
  const client = clientOf({
    async RecordPublishIntent({ intent: said }: { readonly intent: Intent }) {
      const kept = await process.request(
        controlHost,
        () => control.recordIntent(lease, said),
        signal,
      );
      return create(RecordPublishIntentResponseSchema, { intent: kept });
    },
  });
  await publishFeed(
    create(LeaseSchema, {
      taskId: task.id,
      attempt: world.fencingNumber(lease.attempt),
      workflowId: workflow.id,
    }),
    create(PublishWorkSchema, {
      feed: feedOf(world, task.feed).message,
      operation:
        workflow.operation === "load" ? LoadOperation.LOAD : LoadOperation.TRUNCATE_AND_LOAD,
      ...(intent === undefined ? {} : { intent }),
      sent: sent.map(({ key, rows }) => ({ key, rows: BigInt(rows) })),
    }),
    { client, warehouse, config: { keepReplacedTables } },
    signal,
  );
}

function feedOf({ feeds }: Pick<WorkerWorld, "feeds">, name: string | undefined): ModelFeed {
  const found = feeds.get(name ?? "");
  if (found === undefined) throw new Error(`there is no feed ${name}`);
  return found;
}

/** How control takes a failure: `services/control/src/workflow/failure.ts`. */
function toFailure(error: unknown): ModelFailure {
  if (!(error instanceof StageError)) {
    const name =
      error instanceof Stopped ? "load.worker_lost" : `load.unavailable: ${String(error)}`;
    return { name, retry: true, isAlone: false, isOfBytes: false, wantsRestart: false };
  }
  const { stage, code, retry } = error;
  return {
    name: `${stage}.${code}`,
    retry: retry === "automatic",
    isAlone: stage === "fetch",
    isOfBytes: false,
    wantsRestart: stage === "publish",
  };
}
