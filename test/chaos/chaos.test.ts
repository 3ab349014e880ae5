import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAULTS } from "./catalog.ts";
import type { Fault } from "./fault.ts";
import { inWords } from "./report.ts";
import type { RunResult } from "./run.ts";
import { type Session, startSession } from "./session.ts";

/** The part of `pnpm chaos` that every change has to pass: each fault once, and every negative control. */
const SEED = "1";
/** A fault that waits for a moment that never came is played again, with another seed. */
const TRIES = 3;

const named = (faults: readonly Fault[]): [string, string, Fault][] =>
  faults.map((fault) => [fault.id, fault.title, fault]);
const faults = named(FAULTS.filter(({ breaks }) => breaks === undefined));
const controls = named(FAULTS.filter(({ breaks }) => breaks !== undefined));

let session: Session;
beforeAll(async () => {
  session = await startSession({ workers: 2 });
});
afterAll(async () => await session?.[Symbol.asyncDispose]());

/** Says by its seed how to play it alone: `pnpm chaos --fault W5 --seed 1.W5.1 --runs 1`. */
async function play(fault: Fault): Promise<RunResult> {
  for (let time = 1; ; time++) {
    const result = await session.play(fault, `${SEED}.${fault.id.replaceAll("/", "-")}.${time}`);
    if (result.fired > 0 || result.verdict !== "PASS" || time === TRIES) return result;
  }
}

describe("no invariant breaks", () => {
  test.for(faults)("under %s: %s", async ([, , fault], { skip }) => {
    const why = fault.unavailable?.();
    if (why !== undefined) skip(why);
    const result = await play(fault);
    expect(result.verdict, inWords(result)).toBe("PASS");
    expect(result.fired, "the fault never happened").toBeGreaterThan(0);
  });
});

describe("without a guard the damage is found", () => {
  test.for(controls)("by %s: %s", async ([, , fault]) => {
    const result = await play(fault);
    expect(result.fired, "the guard was never asked").toBeGreaterThan(0);
    const found = result.violations.map(({ invariant }) => invariant);
    expect(found, inWords(result)).toContain(fault.breaks);
  });
});
