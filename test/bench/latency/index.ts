import type { BenchStack } from "../bench-stack.ts";
import type { LatencyResult } from "../result.ts";
import { NOTHING_NEW } from "./nothing-new.ts";
import { PREVIEW } from "./preview.ts";
import { START } from "./start.ts";

/** Something that is timed by itself: there is nothing to run beside it. */
export interface Latency {
  readonly name: string;
  measure(
    stack: BenchStack,
    options: {
      readonly rounds: number;
      readonly scale: number;
      readonly tell: (line: string) => void;
    },
  ): Promise<LatencyResult>;
}

export const LATENCIES: readonly Latency[] = [PREVIEW, START, NOTHING_NEW];
