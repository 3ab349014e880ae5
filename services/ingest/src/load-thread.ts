import { parentPort, workerData } from "node:worker_threads";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CheckFileRequestSchema,
  CheckFileResponseSchema,
  InferFileSettingsRequestSchema,
  InferFileSettingsResponseSchema,
} from "@sluice/api/ingest/v1/inference_pb";
import {
  PreviewObjectRequestSchema,
  PreviewObjectResponseSchema,
} from "@sluice/api/ingest/v1/preview_pb";
import { LeaseSchema } from "@sluice/api/ingest/v1/task_pb";
import { StageError } from "@sluice/errors";
import { createWarehouse } from "@sluice/load";
import { createByteBudget } from "@sluice/streams";
import type { IngestConfig } from "./config.ts";
import { checkFile } from "./infer/check-file.ts";
import { inferFile } from "./infer/infer-file.ts";
import type { FromLoadThread, LookKind, ToLoadThread } from "./load-thread-pool.ts";
import { toLoadWork } from "./load-work.ts";
import { loadObject } from "./pipeline.ts";
import type { LookContext } from "./preview/look-at-object.ts";
import { previewObject } from "./preview/preview-object.ts";

/** The inside of a load thread: one object after another, each from its lease to its last batch. */

const port = parentPort;
if (port === null) throw new Error("load-thread.ts is the inside of a thread");
const config = workerData as IngestConfig;
const warehouse = createWarehouse(config.clickhouse);
// The worker's budget in equal parts: threads share no counters, and their sum stays under the limit.
const share = Math.floor(config.memoryBudgetBytes / config.capacity);
/** A parser's window and block, a decoder's dictionary and buffers: each is bounded by its stage's limits. */
const WORKING_BYTES = 48 * 1024 * 1024;
// What decoders and parsers hold is set aside for good: a batch may wait for batches alone.
const budget = createByteBudget(share - Math.min(WORKING_BYTES, Math.floor(share / 2)));
const tell = (message: FromLoadThread): void => port.postMessage(message);
let running: AbortController | undefined;

port.on("message", (message: ToLoadThread) => {
  if (message.kind === "stop") running?.abort(new Error(message.reason));
  else if (message.kind === "look") void answer(({ signal }) => look(message, signal));
  else void answer(({ signal }) => load(message.lease, signal));
});

async function load(lease: Uint8Array, signal: AbortSignal): Promise<FromLoadThread> {
  const outcome = await loadObject(toLoadWork(fromBinary(LeaseSchema, lease)), {
    config,
    warehouse,
    budget,
    signal,
    onState: (state) => tell({ kind: "state", state }),
  });
  return { kind: "done", outcome };
}

/** The calls that look into objects: from request to response, in bytes. */
const LOOKS: Readonly<
  Record<LookKind, (request: Uint8Array, context: LookContext) => Promise<Uint8Array<ArrayBuffer>>>
> = {
  async previewObject(request, context) {
    const seen = await previewObject(fromBinary(PreviewObjectRequestSchema, request), context);
    const response = create(PreviewObjectResponseSchema, seen);
    return toBinary(PreviewObjectResponseSchema, response);
  },
  async inferFileSettings(request, context) {
    const seen = await inferFile(fromBinary(InferFileSettingsRequestSchema, request), context);
    const response = create(InferFileSettingsResponseSchema, seen);
    return toBinary(InferFileSettingsResponseSchema, response);
  },
  async checkFile(request, context) {
    const seen = await checkFile(fromBinary(CheckFileRequestSchema, request), context);
    return toBinary(CheckFileResponseSchema, create(CheckFileResponseSchema, seen));
  },
};

async function look(
  { look: kind, request }: Extract<ToLoadThread, { kind: "look" }>,
  signal: AbortSignal,
): Promise<FromLoadThread> {
  const response = await LOOKS[kind](request, { config, warehouse, budget, signal });
  return { kind: "seen", response };
}

async function answer(
  work: (controller: AbortController) => Promise<FromLoadThread>,
): Promise<void> {
  running = new AbortController();
  try {
    tell(await work(running));
  } catch (error) {
    tell({ kind: "failed", ...toFailed(error) });
  } finally {
    running = undefined;
  }
}

function toFailed(error: unknown): Omit<FromLoadThread & { kind: "failed" }, "kind"> {
  const stage =
    error instanceof StageError
      ? error
      : new StageError("parse", "decoder_crashed", "the file could not be read", { cause: error });
  const technical: string[] = [];
  for (let at: unknown = stage; at instanceof Error; at = at.cause)
    technical.push(at.stack ?? at.message);
  return { failure: stage.toFailure(), technical: technical.join("\ncaused by ") };
}
