import { pino } from "pino";
import { expect, test } from "vitest";
import { createLoop, type Loop } from "../src/loop.ts";

const LONG_MS = 60_000;

function loopOf(round: () => Promise<number | undefined>): Loop {
  const log = pino({ level: "silent" });
  return createLoop({ name: "test", log, longestPauseMs: LONG_MS, round });
}

test("a loop goes on after a round that failed", async () => {
  let rounds = 0;
  const third = Promise.withResolvers<void>();
  const loop = loopOf(async () => {
    rounds += 1;
    if (rounds === 1) throw new Error("the database is away");
    if (rounds === 3) third.resolve();
    return rounds === 2 ? 0 : undefined;
  });
  loop.start();
  await third.promise;
  await loop.stop();
  expect(rounds).toBe(3);
});

test("a bell that rings during a round is not missed, and a stop waits for the round", async () => {
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const again = Promise.withResolvers<void>();
  let rounds = 0;
  let ended = 0;
  const loop = loopOf(async () => {
    rounds += 1;
    if (rounds === 1) {
      begun.resolve();
      await gate.promise;
    } else {
      again.resolve();
    }
    ended += 1;
    return undefined;
  });
  loop.start();
  await begun.promise;
  loop.bell.ring();
  gate.resolve();
  await again.promise;
  await loop.stop();
  expect(ended).toBe(rounds);
});

test("a loop that was never started stops at once", async () => {
  await expect(loopOf(async () => 0).stop()).resolves.toBeUndefined();
});
