import { FORMATS } from "./data.ts";
import type { Fault } from "./fault.ts";
import { createLane, type Lane, OPERATIONS } from "./lanes.ts";
import { createRandom } from "./random.ts";
import { type RunResult, run } from "./run.ts";
import { type Stack, startStack } from "./stack.ts";
import { createTruth } from "./truth.ts";

/** One stack, and run after run on it. */
export interface Session extends AsyncDisposable {
  readonly stack: Stack;
  /** Plays a fault in a run that the seed decides. */
  play(fault: Fault, seed: string): Promise<RunResult>;
}

/** Runs on one feed, before a new one is made: appended rows grow. */
const RUNS_OF_LANE = 10;

const NO_FAULT: Fault = {
  id: "none",
  title: "no fault",
  ends: "well",
  inject: () => ({ fired: () => 1 }),
};

export async function startSession(options: { readonly workers: number }): Promise<Session> {
  const stack = await startStack(options);
  await createTruth(stack);
  const lanes = new Map<string, Lane>();
  return {
    stack,
    async play(fault, seed) {
      const random = createRandom(`${seed} ${fault.id}`);
      const operation = random.pick(fault.operations ?? OPERATIONS);
      const format = random.pick(fault.formats ?? FORMATS);
      const name = `${operation} ${format}`;
      let lane = lanes.get(name);
      if (lane === undefined || lane.runs >= RUNS_OF_LANE) {
        lane = await createLane(stack, operation, format);
        const first = await run(stack, NO_FAULT, lane, `${seed}-first`);
        if (first.verdict !== "PASS") return { ...first, fault: fault.id };
        lanes.set(name, lane);
      }
      const result = await run(stack, fault, lane, seed);
      // What has gone wrong once must not be found again in the next run.
      if (result.verdict !== "PASS") lanes.delete(name);
      return result;
    },
    [Symbol.asyncDispose]: async () => await stack[Symbol.asyncDispose](),
  };
}
