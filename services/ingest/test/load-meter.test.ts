import { expect, test } from "vitest";
import { createLoadMeter, type LoadState } from "../src/load-meter.ts";

const RESUME_AT = { batches: 2, rows: 200, rejected: 1 };

function meterOf(intervalMs: number) {
  const told: LoadState[] = [];
  const meter = createLoadMeter({
    bytesTotal: 9,
    resumeAt: RESUME_AT,
    intervalMs,
    onState: (state) => told.push(state),
  });
  return { meter, told };
}

async function* chunks(): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(1, 2, 3, 4);
  yield Uint8Array.of(5);
}

test("begins where earlier attempts ended", () => {
  expect(meterOf(0).meter.state).toMatchObject({
    stage: "fetch",
    bytesRead: 0,
    bytesTotal: 9,
    checkpoint: RESUME_AT,
  });
});

test("gives every chunk on as it is, and tells the bytes so far", async () => {
  const { meter, told } = meterOf(0);
  expect(await Array.fromAsync(meter.count(chunks()))).toEqual([
    Uint8Array.of(1, 2, 3, 4),
    Uint8Array.of(5),
  ]);
  expect(told.map(({ bytesRead }) => bytesRead)).toEqual([4, 5]);
});

test("tells what is durable, and that it is being loaded", () => {
  const { meter, told } = meterOf(0);
  const checkpoint = { batches: 3, rows: 300, rejected: 1 };
  meter.acknowledge(checkpoint);
  expect(told).toMatchObject([{ stage: "load", checkpoint }]);
  expect(meter.state).toMatchObject({ stage: "load", checkpoint });
});

test("tells once in an interval, and the state has everything all the same", async () => {
  const { meter, told } = meterOf(3_600_000);
  await Array.fromAsync(meter.count(chunks()));
  meter.acknowledge({ batches: 3, rows: 300, rejected: 1 });
  expect(told.map(({ bytesRead }) => bytesRead)).toEqual([4]);
  expect(meter.state).toMatchObject({ bytesRead: 5, checkpoint: { batches: 3, rows: 300 } });
});

test("closes the source when the reader stops", async () => {
  let closed = false;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks();
    } finally {
      closed = true;
    }
  };
  for await (const _ of meterOf(0).meter.count(source())) break;
  expect(closed).toBe(true);
});
