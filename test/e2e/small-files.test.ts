import { Stage } from "@sluice/api/control/v1/failure_pb";
import {
  Task_Kind,
  Task_State,
  type Workflow,
  Workflow_State,
} from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";
import { createTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** Small files are loaded many at a time: each keeps its own rows, counts, failures and retries. */

let proxy: TcpProxy;
let story: Story;
beforeAll(async () => {
  proxy = await createTcpProxy();
  story = await startStory({
    controlEnvironment: { SLUICE_LEASE_MS: "3000", SLUICE_RETRY_DELAY_MS: "300" },
    ingestEnvironment: { CLICKHOUSE_URL: proxy.url },
  });
  proxy.target = story.local.clickhouse?.httpPort ?? 0;
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});
beforeEach(() => {
  proxy.held = false;
  proxy.unansweredAfter = undefined;
});

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};

interface SmallFile {
  readonly key: string;
  readonly ids: readonly number[];
}

/** Files with a few rows each, no two with the same id. */
async function putFiles(folder: string, count: number): Promise<SmallFile[]> {
  const files = Array.from({ length: count }, (_, file) => ({
    key: `${folder}/${String(file).padStart(4, "0")}.csv`,
    ids: Array.from({ length: 1 + (file % 7) }, (_row, row) => file * 10 + row),
  }));
  await Promise.all(files.map(({ key, ids }) => story.customer.put(key, csvOf(ids))));
  return files;
}

const csvOf = (ids: readonly number[]): string =>
  `id,name\n${ids.map((id) => `${id},n${id}\n`).join("")}`;

async function courierOf(folder: string): Promise<string> {
  const feedId = await story.feed("small", folder, SPEC);
  return await story.courier({ feedId, pattern: `'${folder}/'*'.csv'` });
}

async function begin(id: string): Promise<string> {
  const { workflowId } = await story.couriers.runCourier({
    id,
    scope: { case: "date", value: DAY },
  });
  return workflowId;
}

async function until(
  id: string,
  reached: (workflow: Workflow) => boolean = () => false,
): Promise<Workflow> {
  for await (const { workflow } of story.workflows.watchWorkflow({ id })) {
    if (workflow !== undefined && reached(workflow)) break;
  }
  const { workflow } = await story.workflows.getWorkflow({ id });
  if (workflow === undefined) throw new Error("the workflow is gone");
  return workflow;
}

/** Every row of the files, with where it says it is from, in the order of ids. */
const rowsOf = (files: readonly SmallFile[]) =>
  files
    .flatMap(({ key, ids }) =>
      ids.map((id, row) => ({ id, name: `n${id}`, file: key, row: row + 1 })),
    )
    .sort((a, b) => a.id - b.id);

/** What the table has, merged rows and repeated ones alike. */
const loaded = async (folder: string) =>
  await story.rows(
    `SELECT id, name, _file AS file, _row AS row FROM small.${folder}__rows ORDER BY id, row`,
  );

/** How many inserts ClickHouse was ever asked for. */
async function inserts(): Promise<number> {
  const [found] = await story.rows<{ value: number }>(
    "SELECT sum(value) AS value FROM system.events WHERE event = 'InsertQuery'",
  );
  return found?.value ?? 0;
}

const loadsOf = ({ tasks }: Workflow) => tasks.filter(({ kind }) => kind === Task_Kind.LOAD_OBJECT);

test("300 small files: each row says where it is from, each file tells its own counts", async () => {
  const files = await putFiles("many", 300);
  const courierId = await courierOf("many");
  const before = await inserts();
  const workflow = await story.run(courierId);
  const rows = rowsOf(files);
  expect(workflow).toMatchObject({
    state: Workflow_State.SUCCEEDED,
    totals: { rows: BigInt(rows.length), rejectedRows: 0n },
  });
  expect(await loaded("many")).toEqual(rows);
  expect(
    loadsOf(workflow).map(({ key, state, progress, attempts }) => ({
      key,
      state,
      rows: progress?.rows,
      isRead: progress?.bytesRead === progress?.bytesTotal,
      attempts: attempts.length,
    })),
  ).toEqual(
    files.map(({ key, ids }) => ({
      key,
      state: Task_State.SUCCEEDED,
      rows: BigInt(ids.length),
      isRead: true,
      attempts: 1,
    })),
  );
  // A few inserts for all of them, not one for each.
  expect((await inserts()) - before).toBeLessThan(30);

  const again = await story.run(courierId);
  expect(again.state).toBe(Workflow_State.SKIPPED);
  expect(await loaded("many")).toEqual(rows);
});

test("rejects and columns of its own stay with the file they are of", async () => {
  const files = await putFiles("mixed", 30);
  await story.customer.put("mixed/0003.csv", "id,name\n30,n30\nbad,n31\n32,n32\nworse,n33\n");
  await story.customer.put("mixed/0011.csv", "name,more,id\nn110,x,110\n");
  await story.customer.put("mixed/0020.csv", "id,name\n");
  const feedId = await story.feed("small", "mixed", { ...SPEC, errorThresholdPercent: 50 });
  const courierId = await story.courier({ feedId, pattern: "'mixed/'*'.csv'" });
  const workflow = await story.run(courierId);
  expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  const counts = new Map(
    loadsOf(workflow).map(({ key, progress }) => [key, [progress?.rows, progress?.rejectedRows]]),
  );
  expect(counts.get("mixed/0003.csv")).toEqual([4n, 2n]);
  expect(counts.get("mixed/0004.csv")).toEqual([5n, 0n]);
  expect(counts.get("mixed/0020.csv")).toEqual([0n, 0n]);
  expect(
    await story.rows(
      "SELECT _file AS file, _row AS row, field, value FROM small.mixed__rejects ORDER BY row",
    ),
  ).toEqual([
    { file: "mixed/0003.csv", row: 2, field: "id", value: "bad" },
    { file: "mixed/0003.csv", row: 4, field: "id", value: "worse" },
  ]);
  const whole = files.map((file) => {
    if (file.key === "mixed/0011.csv") return { ...file, ids: [110] };
    return file.key === "mixed/0020.csv" ? { ...file, ids: [] } : file;
  });
  const good = rowsOf(whole.filter(({ key }) => key !== "mixed/0003.csv"));
  const found = (await loaded("mixed")) as ReturnType<typeof rowsOf>;
  expect(found.filter(({ file }) => file !== "mixed/0003.csv")).toEqual(good);
  expect(found.filter(({ file }) => file === "mixed/0003.csv").map(({ row }) => row)).toEqual([
    1, 3,
  ]);
  const warned = loadsOf(workflow).filter(({ warnings }) => warnings.length > 0);
  expect(warned.map(({ key }) => key)).toEqual(["mixed/0011.csv", "mixed/0020.csv"]);
});

test("one damaged file among 50 fails by itself, and the others are loaded once", async () => {
  const files = await putFiles("damaged", 50);
  await story.customer.put("damaged/0000.csv", "other,columns\n1,2\n");
  const courierId = await courierOf("damaged");
  const failed = await story.run(courierId);
  expect(failed.state).toBe(Workflow_State.FAILED);
  expect(failed.failure).toMatchObject({
    stage: Stage.CAST,
    code: "schema_mismatch",
    coordinate: { key: "damaged/0000.csv", bucket: story.customer.bucket },
  });
  const states = loadsOf(failed).map(({ key, state, attempts }) => [key, state, attempts.length]);
  expect(states[0]).toEqual(["damaged/0000.csv", Task_State.FAILED, 1]);
  expect(states.slice(1)).toEqual(files.slice(1).map(({ key }) => [key, Task_State.SUCCEEDED, 1]));

  await story.customer.put("damaged/0000.csv", csvOf([0]));
  const { actions } = await story.workflows.listActions({ workflowId: failed.id });
  expect(actions).toHaveLength(1);
  await story.workflows.resolveAction({ id: actions[0]?.id ?? "", resolutionId: "retry_task" });
  const { state } = await until(failed.id);
  expect(state).toBe(Workflow_State.SUCCEEDED);
  expect(await loaded("damaged")).toEqual(rowsOf(files));
});

test("a file that is overwritten after it was listed fails as changed, and no other", async () => {
  const files = await putFiles("changed", 40);
  const courierId = await courierOf("changed");
  proxy.held = true;
  const id = await begin(courierId);
  // The list makes tables once its files are frozen with control: until then ClickHouse says nothing.
  await expect
    .poll(
      async () => (await story.workflows.listWorkflowFiles({ id, pageSize: 100 })).files.length,
      { timeout: 20_000 },
    )
    .toBe(40);
  await story.customer.put("changed/0007.csv", csvOf([70, 71, 72]));
  proxy.held = false;
  const failed = await until(id);
  expect(failed.failure).toMatchObject({
    stage: Stage.FETCH,
    code: "object_changed",
    coordinate: { key: "changed/0007.csv" },
  });
  const notLoaded = loadsOf(failed).filter(({ state }) => state !== Task_State.SUCCEEDED);
  expect(notLoaded.map(({ key }) => key)).toEqual(["changed/0007.csv"]);
  const { actions } = await story.workflows.listActions({ workflowId: id });
  await story.workflows.resolveAction({ id: actions[0]?.id ?? "", resolutionId: "retry_task" });
  expect((await until(id)).state).toBe(Workflow_State.SUCCEEDED);
  const now = files.map((file) =>
    file.key === "changed/0007.csv" ? { ...file, ids: [70, 71, 72] } : file,
  );
  expect(await loaded("changed")).toEqual(rowsOf(now));
});

test("a worker killed when several files are sent and nobody knows: another sends the same, and no row is there twice", async () => {
  const files = await putFiles("killed", 60);
  const courierId = await courierOf("killed");
  // The worker never hears that its insert is done: nobody but ClickHouse knows.
  proxy.unansweredAfter = "insert_deduplication_token=";
  const id = await begin(courierId);
  const staged = async (): Promise<number> => {
    const [found] = await story.rows<{ n: number }>(
      "SELECT sum(total_rows) AS n FROM system.tables WHERE database = 'small' AND startsWith(name, 'killed__stg_')",
    );
    return found?.n ?? 0;
  };
  const rows = rowsOf(files);
  await expect.poll(staged, { timeout: 30_000 }).toBe(rows.length);
  await story.local.ingest.kill();
  proxy.unansweredAfter = undefined;
  await story.local.startIngest();
  const workflow = await until(id);
  expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  expect(await loaded("killed")).toEqual(rows);
  for (const { attempts } of loadsOf(workflow)) expect(attempts.length).toBeGreaterThan(1);
});
