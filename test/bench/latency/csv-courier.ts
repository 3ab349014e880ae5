import type { BenchCase } from "../bench-case.ts";
import type { BenchStack } from "../bench-stack.ts";
import { CASES } from "../cases/index.ts";
import { type PreparedCase, prepareCase, removeCase, runOurs } from "../run-case.ts";

/** Runs `act` with a courier of the csv case's file, loaded once to warm up. */
export async function withCsvCourier<T>(
  stack: BenchStack,
  name: string,
  scale: number,
  act: (prepared: PreparedCase) => Promise<T>,
): Promise<T> {
  const csv = CASES.find((each): each is BenchCase => each.name === "csv");
  if (csv === undefined) throw new Error("there is no case csv");
  const prepared = await prepareCase(stack, { ...csv, name }, scale);
  try {
    await runOurs(stack, prepared);
    return await act(prepared);
  } finally {
    await removeCase(stack, prepared);
  }
}
