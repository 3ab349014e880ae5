import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import type { ClickHouseClient } from "@clickhouse/client";

/** Of some rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Something that a case has to reach. */
export interface Check {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly is_reached: boolean;
}

/** Where and with what it was measured. */
export interface Surroundings {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memory_bytes: number;
  };
  readonly versions: {
    readonly node: string;
    readonly clickhouse: string;
    readonly sluice: string;
  };
  readonly scale: number;
  readonly rounds: number;
  readonly time: string;
}

/** Of a load beside its peer; seconds, bytes and CPU-seconds of one run. */
export interface LoadResult {
  readonly kind: "load";
  readonly case: string;
  readonly data: string;
  readonly peer: string;
  readonly rows: number;
  readonly bytes: number;
  readonly ours_s: Spread;
  readonly peer_s: Spread;
  /** Of the rounds' ratios, how often as fast as the peer. */
  readonly ratio: number;
  readonly to_reach: number;
  readonly beyond: number;
  readonly ingest_cpu_s: number;
  readonly control_cpu_s: number;
  readonly peak_rss_bytes: number;
  readonly mb_per_s: number;
  readonly rows_per_s: number;
  readonly route: string;
  readonly checks: readonly Check[];
}

/** Of something that has no peer: milliseconds for each thing that was timed. */
export interface LatencyResult {
  readonly kind: "latency";
  readonly case: string;
  readonly data: string;
  readonly ms: Readonly<Record<string, Spread>>;
  readonly checks: readonly Check[];
  /** What could not be timed, and what was answered instead. */
  readonly refused: Readonly<Record<string, string>>;
}

/** Of a case that gave no figures: a wrong table, a failed run, a program that is not installed. */
export interface NoResult {
  readonly kind: "failed" | "skipped";
  readonly case: string;
  readonly reason: string;
}

export type Figures = LoadResult | LatencyResult | NoResult;

export type Result = Figures & Surroundings;

export function isGood(result: Result): boolean {
  return "checks" in result && result.checks.every(({ is_reached }) => is_reached);
}

export const atLeast = (what: string, value: number, limit: number): Check => ({
  what,
  value,
  limit,
  is_reached: value >= limit,
});

export const atMost = (what: string, value: number, limit: number): Check => ({
  what,
  value,
  limit,
  is_reached: value <= limit,
});

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? Number.NaN) + (sorted[Math.ceil(at)] ?? Number.NaN)) / 2;
}

export async function surroundings(
  clickhouse: ClickHouseClient,
  { scale, rounds }: Pick<Surroundings, "scale" | "rounds">,
): Promise<Surroundings> {
  const answer = await clickhouse.query({ query: "SELECT version() AS v", format: "JSONEachRow" });
  const [found] = await answer.json<{ v: string }>();
  return {
    machine: {
      cpu: cpuName(),
      cores: cpus().length,
      memory_bytes: totalmem(),
    },
    versions: {
      node: process.versions.node,
      clickhouse: found?.v ?? "",
      sluice: execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim(),
    },
    scale,
    rounds,
    time: new Date().toISOString(),
  };
}

function cpuName(): string {
  const named = cpus()[0]?.model.trim();
  if (named) return named;
  return /model name\s*: (.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";
}
