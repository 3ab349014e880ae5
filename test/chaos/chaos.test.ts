import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAULTS } from "./catalog.ts";
import type { Fault } from "./fault.ts";
import { type Session, startSession } from "./session.ts";

/** The part of `pnpm chaos` that every change has to pass: one run of each fault that once was hard, and every control. */
const CHOSEN = [
  "none",
  "S3-05",
  "S3-07",
  "S3-08s",
  "S3-09r",
  "S3-10",
  "D-01",
  "ST-03",
  "CH-02",
  "CH-03",
  "CH-04c",
  "CH-10",
  "W1c",
  "W5",
  "W9b",
  "W10b",
  "W12",
  "Z9b",
  "PR-09",
];
const SEED = "1";

const chosen = FAULTS.filter(({ id, breaks }) => breaks === undefined && CHOSEN.includes(id));
const controls = FAULTS.filter(({ breaks }) => breaks !== undefined);
const asRows = (faults: readonly Fault[]): [string, string, Fault][] =>
  faults.map((fault) => [fault.id, fault.title, fault]);

let session: Session;
beforeAll(async () => {
  session = await startSession({ workers: 2 });
});
afterAll(async () => await session[Symbol.asyncDispose]());

test("the chosen faults are all there", () => {
  expect(chosen.map(({ id }) => id).sort()).toEqual(CHOSEN.toSorted());
});

describe("no invariant breaks", () => {
  test.each(asRows(chosen))("under %s: %s", async (_id, _title, fault) => {
    const result = await session.play(fault, SEED);
    expect(result).toMatchObject({ verdict: "PASS", violations: [] });
    expect(result.fired, "the fault never happened").toBeGreaterThan(0);
  });
});

describe("without a guard the damage is found", () => {
  test.each(asRows(controls))("by %s: %s", async (_id, _title, fault) => {
    const result = await session.play(fault, SEED);
    expect(result.fired, "the guard was never asked").toBeGreaterThan(0);
    expect(result.violations.map(({ invariant }) => invariant)).toContain(fault.breaks);
  });
});
