import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { isSabotage, SABOTAGES, type Sabotage, simulate } from "./simulate.ts";

/** `pnpm simulate [--seeds N] [--first N] [--seed S] [--sabotage NAME]`: docs/reliability.md. */

/** What one thread plays: each `step`-th seed from `first` on. */
interface Share {
  readonly first: number;
  readonly end: number;
  readonly step: number;
  readonly sabotage: Sabotage | undefined;
}

interface Found {
  readonly seed: string;
  readonly violations: readonly string[];
}

async function playShare({ first, end, step, sabotage }: Share): Promise<Found[]> {
  const found: Found[] = [];
  // Stories are full of errors, and nobody reads where they were thrown.
  Error.stackTraceLimit = 0;
  for (let at = first; at < end; at += step) {
    const { seed, violations } = await simulate(String(at), sabotage);
    if (violations.length > 0) found.push({ seed, violations });
  }
  return found;
}

async function playInThread(share: Share): Promise<Found[]> {
  const thread = new Worker(new URL(import.meta.url), { workerData: share });
  return await new Promise((resolve, reject) => {
    thread.once("message", resolve);
    thread.once("error", reject);
  });
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "10000" },
      first: { type: "string", default: "0" },
      seed: { type: "string" },
      sabotage: { type: "string" },
    },
  });
  const { sabotage } = values;
  if (sabotage !== undefined && !isSabotage(sabotage)) {
    throw new Error(`there is no sabotage "${sabotage}"; there is ${SABOTAGES.join(", ")}`);
  }
  if (values.seed !== undefined) {
    const { log, violations, statements, endedAtMs } = await simulate(values.seed, sabotage);
    for (const line of log) console.log(line);
    for (const violation of violations) console.log(`VIOLATION ${violation}`);
    console.log(`${statements} statements, over after ${(endedAtMs / 1000).toFixed(1)} s`);
    return violations.length === 0;
  }
  const [first, seeds] = [Number(values.first), Number(values.seeds)];
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds) || seeds < 1) {
    throw new Error("--seeds and --first take whole numbers");
  }
  const began = performance.now();
  const step = availableParallelism();
  const shares = Array.from({ length: step }, (_, at) => ({
    first: first + at,
    end: first + seeds,
    step,
    sabotage,
  }));
  const found = (await Promise.all(shares.map(playInThread))).flat();
  for (const { seed, violations } of found) {
    console.log(`seed ${seed}: ${violations.join("; ").slice(0, 500)}`);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(`${seeds} seeds in ${seconds.toFixed(1)} s, ${found.length} with a violation`);
  return found.length === 0;
}

if (isMainThread) process.exitCode = (await main()) ? 0 : 1;
else parentPort?.postMessage(await playShare(workerData as Share));
