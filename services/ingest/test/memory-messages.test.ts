import { setImmediate } from "node:timers/promises";
import { createWorkerMemory, type MemorySeat } from "@sluice/streams";
import { expect, test } from "vitest";
import { createRemoteMemory, serveMemory, type ToMemory } from "../src/memory-messages.ts";

const MIB = 2 ** 20;

/** A seat and its far side, with messages that arrive later, as between threads. */
function connect(memory: ReturnType<typeof createWorkerMemory>): {
  readonly seat: MemorySeat;
  readonly remote: ReturnType<typeof createRemoteMemory>;
} {
  const seat = memory.seat();
  const serve = serveMemory(seat, (granted) => queueMicrotask(() => remote.onGranted(granted)));
  const remote = createRemoteMemory(memory.share, (message: ToMemory) =>
    queueMicrotask(() => serve(message)),
  );
  return { seat, remote };
}

const PAST = 5;
async function settled(): Promise<void> {
  for (let i = 0; i < PAST; i++) await setImmediate();
}

test("a lease of a thread is counted in the main thread until it is given back", async () => {
  const memory = createWorkerMemory(256 * MIB, 2);
  const before = memory.used;
  const { remote } = connect(memory);
  const release = await remote.lease(100 * MIB);
  expect(memory.used).toBe(before + 100 * MIB);
  release();
  release();
  await settled();
  expect(memory.used).toBe(before);
});

test("a thread that waits for a lease no more is passed over", async () => {
  const memory = createWorkerMemory(256 * MIB, 2);
  const [first, second] = [connect(memory), connect(memory)];
  const release = await first.remote.lease(200 * MIB);
  const stop = new AbortController();
  const waiting = first.remote.lease(150 * MIB, stop.signal);
  const next = second.remote.lease(8 * MIB);
  stop.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
  (await next)();
  release();
  await settled();
  expect(memory.used).toBe(48 * MIB);
});

test("what a thread had when it died goes to the next one", async () => {
  const memory = createWorkerMemory(256 * MIB, 2);
  const [dead, alive] = [connect(memory), connect(memory)];
  await dead.remote.lease(150 * MIB);
  await dead.remote.work(48 * MIB);
  const waiting = alive.remote.work(100 * MIB);
  await settled();
  dead.seat.leave();
  await waiting;
  alive.seat.leave();
  expect(memory.used).toBe(48 * MIB);
});
