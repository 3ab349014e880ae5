import { expect, test } from "vitest";
import { createStageClock, STOPPED_CLOCK } from "../src/index.ts";

/** A clock that stands still unless somebody works, and streams whose work takes a known time. */
function makeTime() {
  let now = 0;
  async function* source(count: number, ms: number): AsyncGenerator<number> {
    for (let item = 0; item < count; item++) {
      now += ms;
      yield item;
    }
  }
  async function* worked(input: AsyncIterable<number>, ms: number): AsyncGenerator<number> {
    for await (const item of input) {
      now += ms;
      yield item;
    }
  }
  const spend = (ms: number): void => {
    now += ms;
  };
  return { now: () => now, spend, source, worked };
}

test("tells what a stage works from what it waits for, on either side", async () => {
  const time = makeTime();
  const clock = createStageClock(["fetch", "parse", "load"], time.now);
  const fetched = clock.meter("fetch", time.source(3, 10));
  for await (const _ of clock.meter("parse", time.worked(fetched, 5))) time.spend(100);
  const report = clock.report();
  expect(report?.elapsedMs).toBe(345);
  const nothing = { bytes: 0, rows: 0, faults: 0 };
  expect(report?.stages).toEqual([
    { stage: "fetch", ...nothing, busyMs: 0, waitingForInputMs: 30, waitingForOutputMs: 315 },
    { stage: "parse", ...nothing, busyMs: 15, waitingForInputMs: 30, waitingForOutputMs: 300 },
    { stage: "load", ...nothing, busyMs: 0, waitingForInputMs: 45, waitingForOutputMs: 300 },
  ]);
});

test("counts what a stage hands on unread, and gives its time to whoever reads it", async () => {
  const time = makeTime();
  const clock = createStageClock(["fetch", "parse", "load"], time.now);
  async function* slices(): AsyncGenerator<{ rows: number; byteLength: number }> {
    yield { rows: 5, byteLength: 50 };
    yield { rows: 2, byteLength: 20 };
  }
  for await (const _ of clock.count("parse", slices())) {
    await Array.fromAsync(clock.meter("fetch", time.source(1, 10)));
    time.spend(100);
  }
  expect(clock.report()?.stages).toMatchObject([
    { stage: "fetch", waitingForInputMs: 20, waitingForOutputMs: 200 },
    {
      ...{ stage: "parse", bytes: 70, rows: 7 },
      ...{ busyMs: 0, waitingForInputMs: 0, waitingForOutputMs: 220 },
    },
    { stage: "load", waitingForInputMs: 20, waitingForOutputMs: 200 },
  ]);
});

test("counts what a stage needs before its first item as time in which it is waited for", async () => {
  const time = makeTime();
  const clock = createStageClock(["fetch", "batch", "load"], time.now);
  const items = await clock.time("batch", async () => {
    const all = await Array.fromAsync(clock.meter("fetch", time.source(3, 10)));
    time.spend(5);
    return all;
  });
  expect(items).toEqual([0, 1, 2]);
  await expect(clock.time("batch", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  for await (const _ of clock.meter("batch", time.source(1, 2))) time.spend(100);
  expect(clock.report()?.stages).toMatchObject([
    { stage: "fetch", waitingForInputMs: 30, waitingForOutputMs: 107 },
    { stage: "batch", busyMs: 7, waitingForInputMs: 30, waitingForOutputMs: 100 },
    { stage: "load", waitingForInputMs: 37, waitingForOutputMs: 100 },
  ]);
});

test("leaves out the stages that nothing passed", async () => {
  const time = makeTime();
  const clock = createStageClock(["fetch", "decrypt", "parse", "load"], time.now);
  const fetched = clock.meter("fetch", time.source(1, 10));
  await Array.fromAsync(clock.meter("parse", time.worked(fetched, 5)));
  expect(clock.report()?.stages.map(({ stage }) => stage)).toEqual(["fetch", "parse", "load"]);
});

test("counts two readers that wait for one stage at a time once", async () => {
  let now = 0;
  const clock = createStageClock(["fetch", "load"], () => now);
  const gate = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<number> {
    await gate.promise;
    yield 1;
  }
  const both = [slow(), slow()].map((each) => Array.fromAsync(clock.meter("fetch", each)));
  now = 40;
  gate.resolve();
  await Promise.all(both);
  expect(clock.report()?.stages[0]).toMatchObject({ waitingForInputMs: 40, waitingForOutputMs: 0 });
});

test("closes the source when its reader goes away", async () => {
  let isClosed = false;
  async function* source(): AsyncGenerator<number> {
    try {
      yield 1;
      yield 2;
    } finally {
      isClosed = true;
    }
  }
  for await (const _ of createStageClock(["fetch", "load"]).meter("fetch", source())) break;
  expect(isClosed).toBe(true);
});

test("refuses a stage that it was not made for", async () => {
  const clock = createStageClock(["fetch", "load"]);
  await expect(Array.fromAsync(clock.meter("sort", makeTime().source(1, 1)))).rejects.toThrow(
    "there is no stage sort",
  );
});

test("hands streams on as they are when nothing is measured", () => {
  const source = makeTime().source(1, 1);
  expect(STOPPED_CLOCK.meter("fetch", source)).toBe(source);
  expect(STOPPED_CLOCK.count("fetch", source)).toBe(source);
  expect(STOPPED_CLOCK.report()).toBeUndefined();
});

test("counts what comes out of a stage, each thing by what it says of itself", async () => {
  const clock = createStageClock(["fetch", "parse", "batch", "load"]);
  const through = async (stage: string, items: readonly unknown[]): Promise<void> => {
    for await (const _ of clock.meter(stage, ReadableStream.from(items)));
  };
  await through("fetch", [new Uint8Array(3), new Uint8Array(4)]);
  await through("parse", [{ rows: 5, faults: [{}, {}] }, { rows: 1, faults: [] }, null]);
  await through("batch", [
    { rows: 6, body: new Uint8Array(9) },
    { rows: 2, byteLength: 7 },
  ]);
  expect(clock.report()?.stages).toMatchObject([
    { stage: "fetch", bytes: 7, rows: 0, faults: 0 },
    { stage: "parse", bytes: 0, rows: 6, faults: 2 },
    { stage: "batch", bytes: 16, rows: 8, faults: 0 },
    { stage: "load", bytes: 0, rows: 0, faults: 0 },
  ]);
});
