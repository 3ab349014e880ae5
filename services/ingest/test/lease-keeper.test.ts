import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LeaseSchema } from "@sluice/api/ingest/v1/task_pb";
import type { HeartbeatRequest } from "@sluice/api/ingest/v1/task_service_pb";
import { StageError } from "@sluice/errors";
import { afterEach, expect, test } from "vitest";
import { keepLease, LeaseLost } from "../src/lease-keeper.ts";
import { type ControlDouble, type ControlHandlers, serveControl } from "./control-double.ts";

const INTERVAL_MS = 20;
const HOUR_MS = 3_600_000;

let control: ControlDouble;
let keeper: ReturnType<typeof keepLease>;
afterEach(async () => {
  keeper[Symbol.dispose]();
  await control[Symbol.asyncDispose]();
});

async function keep(expiresAt: number, heartbeat: ControlHandlers["heartbeat"]): Promise<void> {
  control = await serveControl({ heartbeat });
  keeper = keepLease({
    client: control.client,
    lease: create(LeaseSchema, {
      taskId: "task",
      attempt: 3,
      expireTime: timestampFromMs(expiresAt),
    }),
    intervalMs: INTERVAL_MS,
    state: () => ({ progress: { bytesRead: 5n }, checkpoint: { batches: 1n, rows: 10n } }),
  });
}

/** Why the lease was lost. */
async function lost(): Promise<unknown> {
  if (!keeper.signal.aborted) await once(keeper.signal, "abort");
  expect(keeper.signal.reason).toBeInstanceOf(LeaseLost);
  return keeper.signal.reason.message;
}

test("a heartbeat names the attempt and tells how far the task is", async () => {
  const heard = Promise.withResolvers<HeartbeatRequest>();
  await keep(Date.now() + HOUR_MS, async (request) => {
    heard.resolve(request);
    return {};
  });
  expect(await heard.promise).toMatchObject({
    taskId: "task",
    attempt: 3,
    progress: { progress: { bytesRead: 5n }, checkpoint: { batches: 1n, rows: 10n } },
  });
});

test("an answer that says stop takes the lease away", async () => {
  await keep(Date.now() + HOUR_MS, async () => ({ stop: true }));
  expect(await lost()).toBe("the workflow was asked to stop");
});

test("so does FAILED_PRECONDITION, long before the lease ends", async () => {
  await keep(Date.now() + HOUR_MS, async () => {
    throw new StageError("load", "table_changed", "a newer attempt is at work");
  });
  expect(await lost()).toBe("another attempt has taken over");
});

test("a control that is away takes the lease away when it ends, and not before", async () => {
  const expiresAt = Date.now() + 300;
  await keep(expiresAt, async () => ({}));
  await control.close();
  expect(await lost()).toBe("control could not be reached in time");
  expect(Date.now()).toBeGreaterThan(expiresAt);
});

test("so does one that takes the call and never answers", async () => {
  await keep(Date.now() + 100, async (_, signal) => {
    await once(signal, "abort");
    return {};
  });
  expect(await lost()).toBe("control could not be reached in time");
});

test("a renewed lease outlives its first end, though control fails meanwhile", async () => {
  const firstEnd = Date.now() + 200;
  const beyond = Promise.withResolvers<void>();
  let beats = 0;
  let beatsBeyond = 0;
  await keep(firstEnd, async () => {
    if (beats++ === 0) return { expireTime: timestampFromMs(Date.now() + HOUR_MS) };
    // The second one shows that the failure of the first was survived.
    if (Date.now() > firstEnd && ++beatsBeyond === 2) beyond.resolve();
    throw new StageError("load", "unavailable", "control is starting");
  });
  await beyond.promise;
  expect(keeper.signal.aborted).toBe(false);
});

test("disposed, it ends the call in flight and loses nothing", async () => {
  const inFlight = Promise.withResolvers<AbortSignal>();
  let beats = 0;
  await keep(Date.now() + HOUR_MS, async (_, signal) => {
    beats++;
    inFlight.resolve(signal);
    await once(signal, "abort");
    return {};
  });
  const call = await inFlight.promise;
  keeper[Symbol.dispose]();
  if (!call.aborted) await once(call, "abort");
  expect(keeper.signal.aborted).toBe(false);
  expect(beats).toBe(1);
});
