import { create } from "@bufbuild/protobuf";
import { LeaseSchema } from "@sluice/api/ingest/v1/task_pb";
import { createRegistry, NO_TRACING, type Registry } from "@sluice/telemetry";
import { beforeEach, expect, test } from "vitest";
import { createWorkerMetrics } from "../src/telemetry/worker-metrics.ts";
import { createWorkerWatch, type WorkerWatch } from "../src/telemetry/worker-watch.ts";
import { loadLease } from "./load-lease.ts";

let registry: Registry;
let watch: WorkerWatch;
beforeEach(() => {
  registry = createRegistry();
  const metrics = createWorkerMetrics(registry, { limit: 100, used: 7, peak: 9 }, () => true);
  watch = createWorkerWatch(metrics, NO_TRACING, () => undefined);
});

const seriesOf = async (series: string): Promise<number | undefined> => {
  const lines = (await registry.metrics()).split("\n");
  const line = lines.find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};
const state = (rows: number, rejected: number) => ({
  ...({ stage: "load", bytesRead: 5, bytesTotal: 10, elapsedMs: 1 } as const),
  checkpoint: { batches: 1, rows, rejected },
});
const passed = (busyMs: number, bytes: number, rows = 0, faults = 0) => ({
  time: {
    ...{ elapsedMs: 100, threadCpuMs: 50 },
    stages: [
      {
        ...{ stage: "parse", busyMs, bytes, rows, faults },
        ...{ waitingForInputMs: 10, waitingForOutputMs: 5 },
      },
    ],
  },
  inserts: [],
});

test("what earlier attempts made durable is not counted again", async () => {
  const lease = loadLease({ endpoint: "http://127.0.0.1:1" });
  if (lease.work.case === "loadObject") {
    lease.work.value.checkpoint = {
      $typeName: "sluice.ingest.v1.Checkpoint",
      ...{ batches: 1n, rows: 100n, rejectedRows: 10n },
    };
  }
  const task = watch.task(lease);
  task.state(state(100, 10));
  task.state(state(150, 12));
  task.state(state(150, 12));
  expect(await seriesOf('sluice_stage_rows_total{stage="load"}')).toBe(50);
  expect(await seriesOf('sluice_rows_rejected_total{stage="load"}')).toBe(2);
});

test("reports tell what there was in all, and counters grow by what is new", async () => {
  const task = watch.task(loadLease({ endpoint: "http://127.0.0.1:1" }));
  task.report(passed(1000, 500, 20, 1));
  task.report(passed(1500, 700, 30, 3));
  const seconds = 'sluice_stage_seconds_total{stage="parse",kind=';
  expect(await seriesOf(`${seconds}"busy"}`)).toBeCloseTo(1.5);
  expect(await seriesOf(`${seconds}"waiting_for_input"}`)).toBeCloseTo(0.01);
  expect(await seriesOf('sluice_stage_bytes_total{stage="parse"}')).toBe(700);
  expect(await seriesOf('sluice_stage_rows_total{stage="parse"}')).toBe(30);
  expect(await seriesOf('sluice_rows_rejected_total{stage="parse"}')).toBe(3);
});

test("a unit that is loaded again without what failed counts all that passed", async () => {
  const task = watch.task(
    create(LeaseSchema, { taskId: "a", attempt: 1, work: { case: "loadUnit", value: {} } }),
  );
  task.begins();
  task.report(passed(1000, 500, 20));
  task.failedAlone({ stage: "parse", code: "malformed" });
  task.begins();
  task.report(passed(1500, 400, 15));
  task.state(state(15, 2));
  task.done();
  expect(await seriesOf('sluice_stage_bytes_total{stage="parse"}')).toBe(900);
  expect(await seriesOf('sluice_stage_rows_total{stage="parse"}')).toBe(35);
  expect(await seriesOf('sluice_stage_rows_total{stage="load"}')).toBe(15);
  expect(await seriesOf('sluice_rows_rejected_total{stage="load"}')).toBe(2);
  expect(await seriesOf('sluice_errors_total{stage="parse",code="malformed"}')).toBe(1);
  expect(await seriesOf('sluice_task_duration_seconds_count{work="loadUnit",outcome="done"}')).toBe(
    1,
  );
});

test("an end is counted as what it was, and nothing runs any more", async () => {
  const begin = () => watch.task(loadLease({ endpoint: "http://127.0.0.1:1" }));
  const running = () => seriesOf('sluice_tasks_running{work="loadObject"}');
  const ended = (outcome: string) =>
    seriesOf(`sluice_task_duration_seconds_count{work="loadObject",outcome="${outcome}"}`);
  const [one, two, three, four] = [begin(), begin(), begin(), begin()];
  expect(await running()).toBe(4);
  one.done();
  two.failed({ stage: "fetch", code: "source_unavailable" });
  three.dropped(true);
  four.dropped(false);
  expect(await running()).toBe(0);
  expect([await ended("done"), await ended("failed"), await ended("dropped")]).toEqual([1, 1, 2]);
  expect(await seriesOf('sluice_errors_total{stage="fetch",code="source_unavailable"}')).toBe(1);
  expect(await seriesOf("sluice_worker_leases_lost_total")).toBe(1);
});

test("nothing of the customer's stands in a label", async () => {
  const task = watch.task(loadLease({ endpoint: "http://127.0.0.1:1" }));
  task.state(state(10, 1));
  task.done();
  const text = await registry.metrics();
  for (const word of ["acme", "people", "crm", "secret", "workflow"]) {
    expect(text).not.toContain(word);
  }
  expect(text).toContain("\nsluice_memory_in_flight_bytes 7\n");
});
