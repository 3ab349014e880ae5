import { setImmediate } from "node:timers/promises";
import { createTaskMemory, createWorkerMemory, type TaskMemory } from "@sluice/streams";
import { expect, test } from "vitest";

const MIB = 2 ** 20;
const LIMIT = 256 * MIB;

function memoryOfTwo(): { readonly used: () => number; readonly tasks: readonly TaskMemory[] } {
  const memory = createWorkerMemory(LIMIT, 2);
  const { signal } = new AbortController();
  const tasks = [memory.seat(), memory.seat()].map((seat) =>
    createTaskMemory(seat, { signal, limitName: "LIMIT = 256" }),
  );
  return { used: () => memory.used, tasks };
}

const refuse = (message: string): Error => new RangeError(message);

test("sets a floor aside for each task, and lets it work there without asking", async () => {
  const { used, tasks } = memoryOfTwo();
  const before = used();
  await tasks[0]?.part(refuse).hold(20 * MIB);
  await tasks[1]?.part(refuse).hold(20 * MIB);
  expect(used()).toBe(before);
  expect(before).toBe(48 * MIB);
});

test("adds up the parts of a task, and leases what goes beyond its floor until it shrinks again", async () => {
  const { used, tasks } = memoryOfTwo();
  const window = tasks[0]?.part(refuse);
  const history = tasks[0]?.part(refuse);
  await window?.hold(20 * MIB);
  await history?.hold(64 * MIB);
  expect(used()).toBeGreaterThanOrEqual((84 + 24) * MIB);
  expect(used()).toBeLessThanOrEqual((88 + 24) * MIB);
  await history?.hold(0);
  expect(used()).toBe(48 * MIB);
});

test("lets one task at a time go beyond its floor, and the next when it has shrunk", async () => {
  const { tasks } = memoryOfTwo();
  const first = tasks[0]?.part(refuse);
  const second = tasks[1]?.part(refuse);
  await first?.hold(100 * MIB);
  const order: string[] = [];
  const waiting = second?.hold(30 * MIB).then(() => order.push("second"));
  await first?.hold(120 * MIB);
  order.push("first grew");
  await first?.hold(1);
  await waiting;
  expect(order).toEqual(["first grew", "second"]);
});

test("makes a task that outgrows its floor wait for batches on their way alone, ahead of batches that wait", async () => {
  const { used, tasks } = memoryOfTwo();
  const [large, other] = tasks;
  const [flying, later] = [await other?.lease(150 * MIB), await other?.lease(20 * MIB)];
  const order: string[] = [];
  const batch = other?.lease(120 * MIB).then((release) => {
    order.push("batch");
    return release;
  });
  const growing = large
    ?.part(refuse)
    .hold(100 * MIB)
    .then(() => order.push("grown"));
  await setImmediate();
  expect(order).toEqual([]);
  flying?.();
  await growing;
  await setImmediate();
  expect(order).toEqual(["grown"]);
  expect(used()).toBeLessThanOrEqual(LIMIT);
  later?.();
  (await batch)?.();
});

test("leaves room for batches beside the largest task, and never holds more than the limit", async () => {
  const memory = createWorkerMemory(LIMIT, 2);
  const { signal } = new AbortController();
  const seat = memory.seat();
  const task = createTaskMemory(seat, { signal, limitName: "LIMIT" });
  await task.part(refuse).hold(task.freeBytes);
  for (let i = 0; i < 10; i++) (await task.lease(16 * MIB))();
  expect(memory.peak).toBeLessThanOrEqual(LIMIT);
});

test("refuses more than one task may hold, by the error that the part makes, with the limit's name", async () => {
  const { tasks } = memoryOfTwo();
  const part = tasks[0]?.part(refuse);
  await expect(part?.hold(LIMIT)).rejects.toThrow(RangeError);
  await expect(part?.hold(LIMIT)).rejects.toThrow(/takes 268435456 bytes .* LIMIT = 256 leaves/);
  await part?.hold(MIB);
});

test("gives everything back when a task leaves, what it was still waiting for included", async () => {
  const memory = createWorkerMemory(LIMIT, 2);
  const { signal } = new AbortController();
  const [gone, stays] = [memory.seat(), memory.seat()];
  await gone.lease(100 * MIB);
  await stays.work(100 * MIB);
  const waiting = gone.work(100 * MIB, signal);
  gone.leave();
  await expect(waiting).rejects.toThrow("the task has ended");
  await stays.work(0);
  expect(memory.used).toBe(48 * MIB);
});

test("shares a small budget out by halves", async () => {
  const memory = createWorkerMemory(16 * MIB, 4);
  const { signal } = new AbortController();
  const task = createTaskMemory(memory.seat(), { signal, limitName: "LIMIT" });
  expect(memory.used).toBe(8 * MIB);
  await task.part(refuse).hold(6 * MIB);
  (await task.lease(2 * MIB))();
  expect(memory.peak).toBeLessThanOrEqual(16 * MIB);
});

test("giving back never fails, also when the task was stopped", async () => {
  const stop = new AbortController();
  const seat = createWorkerMemory(LIMIT, 2).seat();
  const task = createTaskMemory(seat, { signal: stop.signal, limitName: "LIMIT" });
  const part = task.part(refuse);
  await part.hold(100 * MIB);
  stop.abort(new Error("stopped"));
  seat.leave();
  await expect(part.hold(150 * MIB)).rejects.toThrow();
  await part.hold(0);
});

test("what is granted to a task that is just leaving is given back, its turn included", async () => {
  const memory = createWorkerMemory(LIMIT, 2);
  const [gone, stays] = [memory.seat(), memory.seat()];
  const granted = [gone.lease(10 * MIB), gone.work(50 * MIB)];
  const outcomes = Promise.allSettled(granted);
  gone.leave();
  for (const { status } of await outcomes) expect(status).toBe("rejected");
  expect(memory.used).toBe(48 * MIB);
  // Whoever has the turn works beyond its floor: it would wait for ever.
  await stays.work(100 * MIB);
  await stays.work(0);
  expect(memory.used).toBe(48 * MIB);
});
