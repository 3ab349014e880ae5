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
import { createPlatformSessions } from "@sluice/fetch";
import { createWarehouse } from "@sluice/load";
import { createStageClock, createTaskMemory, type TaskMemory } from "@sluice/streams";
import { checkFile } from "./infer/check-file.ts";
import { inferFile } from "./infer/infer-file.ts";
import type { FromLoadThread, LoadThreadData, LookKind, ToLoadThread } from "./load-thread-pool.ts";
import { loadUnit } from "./load-unit.ts";
import { toLoadWork, toUnitWork } from "./load-work.ts";
import { createRemoteMemory } from "./memory-messages.ts";
import { loadObject, METERED_STAGES } from "./pipeline.ts";
import type { LookContext } from "./preview/look-at-object.ts";
import { previewObject } from "./preview/preview-object.ts";
import { reportLoad } from "./telemetry/load-report.ts";

/** The inside of a load thread: one object after another, each from its lease to its last batch. */

const port = parentPort;
if (port === null) throw new Error("load-thread.ts is the inside of a thread");
const { config, memory: share } = workerData as LoadThreadData;
const warehouse = createWarehouse(config.clickhouse);
const tell = (message: FromLoadThread): void => port.postMessage(message);
const seat = createRemoteMemory(share, tell);
const limitName = `SLUICE_MEMORY_BUDGET_MIB = ${config.memoryBudgetBytes / 2 ** 20}`;
const memoryUntil = (signal: AbortSignal): TaskMemory =>
  createTaskMemory(seat, { signal, limitName });
const platformSessions = createPlatformSessions();
let running: AbortController | undefined;

port.on("message", (message: ToLoadThread) => {
  if (message.kind === "granted") seat.onGranted(message);
  else if (message.kind === "ping") tell({ kind: "alive" });
  else if (message.kind === "stop") running?.abort(new Error(message.reason));
  else if (message.kind === "look") void answer(({ signal }) => look(message, signal));
  else if (message.kind === "unit") void answer(({ signal }) => unit(message.lease, signal));
  else void answer(({ signal }) => load(message.lease, signal));
});

async function unit(lease: Uint8Array, signal: AbortSignal): Promise<FromLoadThread> {
  const works = toUnitWork(fromBinary(LeaseSchema, lease));
  const clock = createStageClock(METERED_STAGES);
  using watched = reportLoad(warehouse, clock, (report) => tell({ kind: "report", report }));
  const outcome = await loadUnit(works, {
    config,
    warehouse: watched.warehouse,
    memory: memoryUntil(signal),
    signal,
    clock,
    platformSessions,
  });
  return { kind: "unit", outcome };
}

async function load(lease: Uint8Array, signal: AbortSignal): Promise<FromLoadThread> {
  const clock = createStageClock(METERED_STAGES);
  using watched = reportLoad(warehouse, clock, (report) => tell({ kind: "report", report }));
  const outcome = await loadObject(toLoadWork(fromBinary(LeaseSchema, lease)), {
    config,
    warehouse: watched.warehouse,
    memory: memoryUntil(signal),
    signal,
    clock,
    platformSessions,
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
  const response = await LOOKS[kind](request, {
    config,
    warehouse,
    memory: memoryUntil(signal),
    signal,
  });
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

function toFailed(error: unknown): Omit<Extract<FromLoadThread, { kind: "failed" }>, "kind"> {
  const stage =
    error instanceof StageError
      ? error
      : new StageError("parse", "decoder_crashed", "the file could not be read", { cause: error });
  const technical: string[] = [];
  for (let at: unknown = stage; at instanceof Error; at = at.cause)
    technical.push(at.stack ?? at.message);
  return { failure: stage.toFailure(), technical: technical.join("\ncaused by ") };
}
