import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import { ArchiveSettings_Kind, Compression } from "@sluice/api/control/v1/file_settings_pb";
import { FileDifference_Kind } from "@sluice/api/control/v1/inference_pb";
import type { RunPlan } from "@sluice/api/control/v1/run_plan_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CSV, DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const NAMES: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};

async function planOf(id: string, days: [string, string] = [DAY, "2026-11-21"]): Promise<RunPlan> {
  const [startDate, endDate] = days;
  const { plan } = await story.couriers.planRun({
    id,
    scope: { case: "period", value: { startDate, endDate } },
  });
  if (plan === undefined) throw new Error("no plan came");
  return plan;
}

test("a plan tells what is matched, missing, and loaded already, by day, and writes nothing (RU-2, RU-3, CR-13)", async () => {
  const feedId = await story.feed("planned", "days", NAMES);
  for (const day of ["2026-11-18", "2026-11-20"]) {
    await story.customer.put(`days/${day}/a.csv`, `id,name\n${day.slice(-2)},x\n`);
  }
  const id = await story.courier({ feedId, pattern: "'days/'yyyy-MM-dd'/*.csv'" });
  await story.run(id, DAY);
  await story.customer.put(`days/${DAY}/b.csv`, "id,name\n1,One\n2,Two\n");
  const before = await state();

  const plan = await planOf(id, ["2026-11-18", "2026-11-21"]);
  expect(plan).toMatchObject({
    complete: true,
    days: [
      { date: "2026-11-18", matched: 1n, missing: 0n, unchanged: 0n },
      { date: "2026-11-19", matched: 0n, missing: 1n, unchanged: 0n },
      { date: "2026-11-20", matched: 2n, missing: 0n, unchanged: 1n },
    ],
    files: [
      { object: { key: "days/2026-11-18/a.csv" }, unchangedFeedIds: [] },
      { object: { key: "days/2026-11-20/a.csv" }, unchangedFeedIds: [feedId] },
      { object: { key: "days/2026-11-20/b.csv" }, unchangedFeedIds: [] },
    ],
    missing: [{ date: "2026-11-19", lookedFor: "days/2026-11-19/*.csv" }],
    feeds: [{ feedId, files: 2n, unchanged: 1n, predictedRows: 3n }],
    failures: [{ code: "file_not_found", action: ActionKind.MISSING_FILE }],
    warnings: ["1 file is unchanged since loaded into planned.days, skipped."],
  });
  expect(await state()).toEqual(before);

  const skipping = await story.couriers.planRun({
    id,
    scope: { case: "everything", value: {} },
    reloadUnchanged: true,
    skipMissingFiles: true,
  });
  expect(skipping.plan).toMatchObject({ feeds: [{ files: 3n, unchanged: 0n }], failures: [] });
  // The run does what the plan said.
  const workflow = await story.run(id, DAY);
  expect(workflow.warnings).toEqual(plan.warnings);
  expect(workflow.totals?.rows).toBe(2n);

  /** All that a plan could have written. */
  async function state(): Promise<unknown> {
    const { workflows } = await story.workflows.listWorkflows({});
    const tables = await story.rows(
      "SELECT database, name, total_rows FROM system.tables WHERE database = 'planned' ORDER BY name",
    );
    const { loads } = await story.tables.listLoads({ feedId });
    return { workflows: workflows.map((each) => [each.id, each.state]), tables, loads };
  }
});

test("a plan looks into files: cast failures, missing columns, and the actions that they would raise (RU-3, CO-11)", async () => {
  const feedId = await story.feed("planned", "looks", {
    ...NAMES,
    fields: [
      ...(NAMES.fields ?? []),
      { incomingName: "since", type: { type: { case: "date", value: {} } } },
    ],
  });
  await story.customer.put("looks/bad.csv", "id,name,extra\n1,One,x\nzwei,Two,y\n3,Three,z\n");
  const id = await story.courier({ feedId, key: "looks/bad.csv" });
  const plan = await planOf(id);
  const [look] = plan.looks;
  expect(look).toMatchObject({
    key: "looks/bad.csv",
    feedId,
    rows: 3n,
    rejectedRows: 1n,
    rejects: [{ row: 2n, field: "id", value: "zwei", code: "bad_value" }],
    complete: true,
  });
  expect(look?.differences.map(({ kind, field, column }) => [kind, field || column])).toEqual(
    expect.arrayContaining([
      [FileDifference_Kind.MISSING_OPTIONAL, "since"],
      [FileDifference_Kind.EXTRA_COLUMN, "extra"],
      [FileDifference_Kind.BAD_VALUES, "id"],
    ]),
  );
  expect(plan.failures).toMatchObject([
    {
      stage: Stage.CAST,
      code: "threshold_exceeded",
      action: ActionKind.THRESHOLD_EXCEEDED,
      coordinate: { key: "looks/bad.csv" },
    },
  ]);
  const workflow = await story.run(id);
  expect(workflow).toMatchObject({
    state: Workflow_State.FAILED,
    failure: { code: "threshold_exceeded" },
  });
});

test("a plan tells the layers that are met beside those configured (SC-7)", async () => {
  const feedId = await story.feed("planned", "layers", NAMES);
  await story.customer.put("layers/plain.csv", "id,name\n1,One\n");
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: "Layers",
      credentialId: story.credentialId,
      files: [
        {
          tag: "zipped",
          selection: { case: "key", value: "layers/plain.csv" },
          settings: { ...CSV, archive: { kind: ArchiveSettings_Kind.ZIP } },
        },
        {
          tag: "gzipped",
          selection: { case: "key", value: "layers/plain.csv" },
          settings: { ...CSV, compression: Compression.GZIP },
        },
        { tag: "plain", selection: { case: "key", value: "layers/plain.csv" }, settings: CSV },
      ],
      loads: ["zipped", "gzipped", "plain"].map((fileTag) => ({
        feed: { case: "feedId" as const, value: feedId },
        fileTag,
        operation: LoadOperation.LOAD,
      })),
    },
  });
  const { looks, failures } = await planOf(courier?.id ?? "");
  const byTag = new Map(looks.map((look) => [look.fileTag, look]));
  expect(byTag.get("zipped")).toMatchObject({
    configuredLayers: ["zip"],
    failure: { stage: Stage.DECOMPRESS, action: ActionKind.UNABLE_TO_DECOMPRESS },
  });
  expect(byTag.get("gzipped")).toMatchObject({
    configuredLayers: ["gzip"],
    failure: { stage: Stage.DECOMPRESS, action: ActionKind.UNABLE_TO_DECOMPRESS },
  });
  expect(byTag.get("plain")).toMatchObject({ configuredLayers: [], seenLayers: [], rows: 1n });
  expect(byTag.get("plain")?.failure).toBeUndefined();
  expect(failures).toHaveLength(2);
});
