import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import type { BenchStack } from "./bench-stack.ts";
import { BENCH_FOLDER } from "./data/cached-data.ts";
import { type PreparedCase, runOurs } from "./run-case.ts";

const PROFILES = join(BENCH_FOLDER, "profiles");
const ARRIVING = join(PROFILES, "arriving");

/** Makes ingest measure its stages, and write a CPU profile of each thread when it ends. */
export const PROFILE_ENVIRONMENT: Readonly<Record<string, string>> = {
  SLUICE_METER_STAGES: "1",
  NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${ARRIVING}`,
};

interface StageTime {
  readonly stage: string;
  readonly busyMs: number;
  readonly waitingForInputMs: number;
  readonly waitingForOutputMs: number;
}

interface StageReport {
  readonly elapsedMs: number;
  readonly threadCpuMs: number;
  readonly stages: readonly StageTime[];
}

/**
 * Runs ours alone in a new worker, and leaves its CPU profiles in a folder of the case's. The stages' table is of the last
 * run; of many files, the sums over all of them.
 */
export async function profileCase(
  { story }: BenchStack,
  prepared: PreparedCase,
  rounds: number,
  tell: (line: string) => void,
): Promise<undefined> {
  const { name } = prepared.case;
  await story.local.ingest.stop();
  rmSync(ARRIVING, { recursive: true, force: true });
  mkdirSync(ARRIVING, { recursive: true });
  const { logFile } = await story.local.startIngest();
  const stack = { story } as BenchStack;
  let logged = 0;
  for (let round = 0; round <= rounds; round++) {
    logged = statSync(logFile).size;
    const { seconds, ingestCpu } = await runOurs(stack, prepared);
    tell(`${name}, run ${round}: ${seconds.toFixed(2)} s, ${ingestCpu.toFixed(2)} CPU-s of ingest`);
  }
  await story.local.ingest.stop();
  const folder = join(PROFILES, name);
  rmSync(folder, { recursive: true, force: true });
  if (existsSync(ARRIVING)) renameSync(ARRIVING, folder);
  const reports = reportsOf(readFileSync(logFile).subarray(logged).toString());
  process.stdout.write(`${stageTable(name, reports)}\n\nCPU profiles in ${folder}:\n`);
  for (const file of readdirSync(folder)) process.stdout.write(`  ${file}\n`);
  await story.local.startIngest();
}

function reportsOf(log: string): StageReport[] {
  return log.split("\n").flatMap((line) => {
    if (!line.includes('"time of the stages"')) return [];
    return [JSON.parse(line).time];
  });
}

function stageTable(name: string, reports: readonly StageReport[]): string {
  const stages = new Map<string, { busy: number; input: number; output: number }>();
  for (const { stage, busyMs, waitingForInputMs, waitingForOutputMs } of reports.flatMap(
    (report) => report.stages,
  )) {
    const sum = stages.get(stage) ?? { busy: 0, input: 0, output: 0 };
    sum.busy += busyMs;
    sum.input += waitingForInputMs;
    sum.output += waitingForOutputMs;
    stages.set(stage, sum);
  }
  const sumOf = (of: (report: StageReport) => number): string =>
    reports.reduce((sum, report) => sum + of(report), 0).toFixed(0);
  const cell = (ms: number): string => ms.toFixed(0).padStart(10);
  return [
    `${name}: ${reports.length} loads, ${sumOf(({ elapsedMs }) => elapsedMs)} ms, ${sumOf(({ threadCpuMs }) => threadCpuMs)} ms of CPU in load threads`,
    `${"stage".padEnd(12)}${["busy", "for input", "for output"].map((head) => head.padStart(10)).join(" ")}  (ms)`,
    ...[...stages].map(
      ([stage, { busy, input, output }]) =>
        `${stage.padEnd(12)}${cell(busy)} ${cell(input)} ${cell(output)}`,
    ),
  ].join("\n");
}
