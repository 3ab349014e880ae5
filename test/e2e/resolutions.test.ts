import { gzipSync } from "node:zlib";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Action, Action_State } from "@sluice/api/control/v1/action_pb";
import { type FeedLoadSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ActionKind } from "@sluice/api/control/v1/failure_pb";
import { Compression } from "@sluice/api/control/v1/file_settings_pb";
import {
  Task_Kind,
  Task_State,
  type Workflow,
  Workflow_State,
} from "@sluice/api/control/v1/workflow_pb";
import { createCustomer } from "@sluice/local";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CSV,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

/** The ways out of a failure that leave something out, or go on with what was loaded, through the API alone. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const csv = (...rows: string[]): Buffer => Buffer.from(["id,name", ...rows, ""].join("\n"));
const GZIP: FileSettings = { ...CSV, compression: Compression.GZIP };
/** A gzip file that ends in the middle. */
const cut = (content: Buffer): Buffer => gzipSync(content).subarray(0, -12);

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const namesIn = async (table: string): Promise<string[]> =>
  (await story.rows<{ name: string }>(`SELECT name FROM ${table} ORDER BY id`)).map(
    ({ name }) => name,
  );

async function openAction(workflowId: string, of = story): Promise<Action> {
  const { actions } = await of.workflows.listActions({ workflowId });
  const open = actions.filter(({ state }) => state === Action_State.OPEN);
  const [action] = open;
  if (action === undefined || open.length > 1) throw new Error(`${open.length} actions are open`);
  return action;
}

/** The workflow as it is when it has come to rest again. */
async function rested(id: string, of = story): Promise<Workflow> {
  for await (const _ of of.workflows.watchWorkflow({ id }));
  const { workflow } = await of.workflows.getWorkflow({ id });
  if (workflow === undefined) throw new Error("the workflow is gone");
  return workflow;
}

type Input = Parameters<Story["workflows"]["resolveAction"]>[0]["input"];

async function resolve(action: Action, resolutionId: string, input?: Input): Promise<Workflow> {
  expect(action.resolutions.map(({ id }) => id)).toContain(resolutionId);
  const { id, etag, workflowId } = action;
  const request = { id, etag, resolutionId };
  await story.workflows.resolveAction(input === undefined ? request : { ...request, input });
  return await rested(workflowId);
}

/** How often each file was tried. */
const attemptsOf = (workflow: Workflow): Record<string, number> =>
  Object.fromEntries(
    workflow.tasks
      .filter(({ kind }) => kind === Task_Kind.LOAD_OBJECT)
      .map(({ key, attempts }) => [key.slice(key.lastIndexOf("/") + 1), attempts.length]),
  );

describe("one feed of two that fails", () => {
  /** A courier of two files, each of a feed's own, of which the second is cut short. */
  async function twoFeeds(source: string): Promise<{ courierId: string; workflow: Workflow }> {
    const loads: MessageInitShape<typeof FeedLoadSchema>[] = [];
    for (const tag of ["whole", "broken"]) {
      const feedId = await story.feed(source, tag, SPEC);
      loads.push({
        feed: { case: "feedId", value: feedId },
        fileTag: tag,
        operation: LoadOperation.LOAD,
      });
    }
    await story.customer.put(`${source}/whole.gz`, gzipSync(csv("1,Whole")));
    await story.customer.put(`${source}/broken.gz`, cut(csv("1,Broken")));
    const { courier } = await story.couriers.createCourier({
      courier: {
        name: source,
        credentialId: story.credentialId,
        files: ["whole", "broken"].map((tag) => ({
          tag,
          selection: { case: "key", value: `${source}/${tag}.gz` },
          settings: GZIP,
        })),
        loads,
      },
    });
    const courierId = courier?.id ?? "";
    const workflow = await story.run(courierId);
    expect(workflow).toMatchObject({
      state: Workflow_State.FAILED,
      failure: { code: "truncated", coordinate: { key: `${source}/broken.gz` } },
    });
    // A fileset is published whole, or as somebody decides.
    expect(await namesIn(`${source}.whole`)).toEqual([]);
    return { courierId, workflow };
  }

  it("is excluded, and the other is published (WF-5, WF-8, WF-10)", async () => {
    const { courierId, workflow } = await twoFeeds("excluded");
    const done = await resolve(await openAction(workflow.id), "exclude_feeds");
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(done.failure).toBeUndefined();
    expect(done.warnings.join()).toContain("was left out");
    expect(attemptsOf(done)).toMatchObject({ "whole.gz": 1 });
    expect(await namesIn("excluded.whole")).toEqual(["Whole"]);
    expect(await namesIn("excluded.broken")).toEqual([]);

    // Left out once: the next run loads what was put right, and not again what is loaded.
    await story.customer.put("excluded/broken.gz", gzipSync(csv("1,Mended")));
    const next = await story.run(courierId);
    expect(next.state).toBe(Workflow_State.SUCCEEDED);
    expect(attemptsOf(next)).toEqual({ "broken.gz": 1 });
    expect(await namesIn("excluded.broken")).toEqual(["Mended"]);
  });

  it("is tried again alone, while the whole one is published at once (WF-5, WF-8, WF-10)", async () => {
    const { workflow } = await twoFeeds("retried");
    const still = await resolve(await openAction(workflow.id), "retry_failed_feeds");
    expect(still).toMatchObject({ state: Workflow_State.FAILED, failure: { code: "truncated" } });
    expect(await namesIn("retried.whole")).toEqual(["Whole"]);
    expect(await namesIn("retried.broken")).toEqual([]);

    await story.customer.put("retried/broken.gz", gzipSync(csv("1,Mended")));
    const done = await resolve(await openAction(workflow.id), "retry_task");
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(attemptsOf(done)).toEqual({ "whole.gz": 1, "broken.gz": 3 });
    expect(await namesIn("retried.broken")).toEqual(["Mended"]);
    const publishes = done.tasks.filter(({ kind }) => kind === Task_Kind.PUBLISH);
    expect(publishes.map(({ attempts }) => attempts.length)).toEqual([1, 1]);
  });
});

describe("one file of several that fails", () => {
  it("is skipped once, the others are published, and the next run reads it again (WF-5, WF-8, WF-10)", async () => {
    const feedId = await story.feed("skipped", "files", SPEC);
    const pattern = "'skipped/'*'.gz'";
    const courierId = await story.courier({ feedId, pattern, settings: GZIP });
    for (const [at, name] of ["One", "Two", "Three"].entries()) {
      const content = csv(`${at + 1},${name}`);
      const body = name === "Two" ? cut(content) : gzipSync(content);
      await story.customer.put(`skipped/${at + 1}.gz`, body);
    }
    const workflow = await story.run(courierId);
    expect(workflow.state).toBe(Workflow_State.FAILED);
    const done = await resolve(await openAction(workflow.id), "skip_task");
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(done.warnings.join()).toContain("skipped/2.gz was left out");
    const loads = done.tasks.filter(({ kind }) => kind === Task_Kind.LOAD_OBJECT);
    expect(loads.map(({ state }) => state)).toEqual([
      Task_State.SUCCEEDED,
      Task_State.SKIPPED,
      Task_State.SUCCEEDED,
    ]);
    expect(await namesIn("skipped.files")).toEqual(["One", "Three"]);

    await story.customer.put("skipped/2.gz", gzipSync(csv("2,Two")));
    const next = await story.run(courierId);
    expect(attemptsOf(next)).toEqual({ "2.gz": 1 });
    expect(await namesIn("skipped.files")).toEqual(["One", "Two", "Three"]);
  });

  it("can't be skipped when it is the only one (WF-7)", async () => {
    const feedId = await story.feed("single", "files", SPEC);
    await story.customer.put("single.gz", cut(csv("1,One")));
    const { id } = await story.run(
      await story.courier({ feedId, key: "single.gz", settings: GZIP }),
    );
    const { resolutions } = await openAction(id);
    expect(resolutions.map((each) => each.id)).toEqual([
      "attach_object",
      "retry_task",
      "restart_workflow",
    ]);
  });
});

describe("an ingest query that fails", () => {
  const WRONG = "SELECT id, nam AS name FROM people";
  const RIGHT = "SELECT id, upper(name) AS name FROM people";

  async function failed(source: string): Promise<{ courierId: string; workflow: Workflow }> {
    const feedId = await story.feed(source, "people", SPEC);
    await story.customer.put(`${source}/people.csv`, csv("1,Ann", "2,Bo"));
    const { courier } = await story.couriers.createCourier({
      courier: {
        name: source,
        credentialId: story.credentialId,
        files: [
          {
            tag: "people",
            selection: { case: "key", value: `${source}/people.csv` },
            settings: CSV,
          },
        ],
        loads: [
          {
            feed: { case: "feedId", value: feedId },
            operation: LoadOperation.LOAD,
            ingestQuery: { sql: WRONG, fileTags: ["people"] },
          },
        ],
      },
    });
    const courierId = courier?.id ?? "";
    const workflow = await story.run(courierId);
    expect(workflow).toMatchObject({
      state: Workflow_State.FAILED,
      failure: { code: "query_invalid", action: ActionKind.FIX_FILE_OR_SETTINGS },
    });
    return { courierId, workflow };
  }

  /** The loads of the courier, with the SQL put right. */
  async function corrected(courierId: string) {
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const loads = courier?.loads ?? [];
    for (const { ingestQuery } of loads) if (ingestQuery !== undefined) ingestQuery.sql = RIGHT;
    return { courier: { id: courierId, loads }, updateMask: { paths: ["loads"] } };
  }

  /** The query was run twice, and the file was loaded once. */
  async function assertDone(done: Workflow, source: string): Promise<void> {
    expect(done.failure).toBeUndefined();
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(attemptsOf(done)).toEqual({ "people.csv": 1 });
    const query = done.tasks.find(({ kind }) => kind === Task_Kind.INGEST_QUERY);
    expect(query?.attempts).toHaveLength(2);
    expect(await namesIn(`${source}.people`)).toEqual(["ANN", "BO"]);
    const { bucket } = story.customer;
    expect(await story.local.aws.bytesSent(bucket, `${source}/people.csv`)).toBe(
      csv("1,Ann", "2,Bo").byteLength,
    );
  }

  it("is put right by the action, and goes on with the files as they were loaded (WF-5, WF-10, SC-6)", async () => {
    const { courierId, workflow } = await failed("patched");
    const value = await corrected(courierId);
    const done = await resolve(await openAction(workflow.id), "patch_courier", {
      case: "courier",
      value,
    });
    await assertDone(done, "patched");
  });

  it("is put right in the courier, and goes on as the courier is by then (WF-10, SC-6)", async () => {
    const { courierId, workflow } = await failed("updated");
    await story.couriers.updateCourier(await corrected(courierId));
    await assertDone(await resolve(await openAction(workflow.id), "patch_courier"), "updated");
  });
});

const WRONG_PAIR =
  "SELECT p.id AS id, nam || q.name AS name FROM people AS p JOIN points AS q ON q.id = p.id";
const RIGHT_PAIR = WRONG_PAIR.replace("nam ", "p.name ");

/** A courier of a query over two files. */
async function pair(source: string, points: Buffer, sql = WRONG_PAIR): Promise<string> {
  const feedId = await story.feed(source, "people", SPEC);
  await story.customer.put(`${source}/people.gz`, gzipSync(csv("1,Ann")));
  await story.customer.put(`${source}/points.gz`, points);
  const tags = ["people", "points"];
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: source,
      credentialId: story.credentialId,
      files: tags.map((tag) => ({
        tag,
        selection: { case: "key", value: `${source}/${tag}.gz` },
        settings: GZIP,
      })),
      loads: [
        {
          feed: { case: "feedId", value: feedId },
          operation: LoadOperation.LOAD,
          ingestQuery: { sql, fileTags: tags },
        },
      ],
    },
  });
  return courier?.id ?? "";
}

describe("an ingest query over several files", () => {
  /** What the courier's query is changed to, taken on by the failed workflow. */
  async function takenOn(
    courierId: string,
    workflowId: string,
    query: { readonly sql: string; readonly fileTags?: string[] },
  ): Promise<unknown> {
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const loads = courier?.loads ?? [];
    for (const { ingestQuery } of loads) Object.assign(ingestQuery ?? {}, query);
    await story.couriers.updateCourier({
      courier: { id: courierId, loads },
      updateMask: { paths: ["loads"] },
    });
    const { id, resolutions } = await openAction(workflowId);
    const resolutionId = "patch_courier";
    expect(resolutions.map((each) => each.id)).toContain(resolutionId);
    return await story.workflows.resolveAction({ id, resolutionId }).catch(ConnectError.from);
  }

  it("does not go on with its files in another order, which would be taken for each other", async () => {
    const courierId = await pair("ordered", gzipSync(csv("1,+7")));
    const { id, failure } = await story.run(courierId);
    expect(failure?.code).toBe("query_invalid");
    const fileTags = ["points", "people"];
    expect(await takenOn(courierId, id, { sql: RIGHT_PAIR, fileTags })).toMatchObject({
      code: Code.FailedPrecondition,
      rawMessage: expect.stringContaining("restart the workflow instead"),
    });
    await takenOn(courierId, id, { sql: RIGHT_PAIR, fileTags: fileTags.toReversed() });
    expect((await rested(id)).state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("ordered.people")).toEqual(["Ann+7"]);
  });

  it("does not go on with other SQL while some of its files are still to be loaded; a new workflow does", async () => {
    const courierId = await pair("mixed", csv("1,+7"));
    const { id, failure } = await story.run(courierId);
    expect(failure?.code).toBe("not_this_container");
    const action = await openAction(id);
    expect(action.resolutions.map((each) => each.id)).not.toContain("patch_courier");
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const loads = courier?.loads ?? [];
    for (const { ingestQuery } of loads) Object.assign(ingestQuery ?? {}, { sql: RIGHT_PAIR });
    await story.customer.put("mixed/points.gz", gzipSync(csv("1,+7")));
    const { workflowId } = await story.workflows.resolveAction({
      id: action.id,
      resolutionId: "patch_and_restart",
      input: {
        case: "courier",
        value: { courier: { id: courierId, loads }, updateMask: { paths: ["loads"] } },
      },
    });
    expect((await rested(workflowId)).state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("mixed.people")).toEqual(["Ann+7"]);
  });
});

describe("a file that an ingest query will read", () => {
  it("is read anew as it lies in the bucket by then (WF-7, WF-10, SC-6)", async () => {
    const courierId = await pair("anew", cut(csv("1,+7")), RIGHT_PAIR);
    const { id, failure } = await story.run(courierId);
    expect(failure).toMatchObject({ code: "truncated", coordinate: { key: "anew/points.gz" } });
    await story.customer.put("anew/points.gz", gzipSync(csv("1,+8")));
    const done = await resolve(await openAction(id), "retry_task");
    expect(done.failure).toBeUndefined();
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("anew.people")).toEqual(["Ann+8"]);
  });

  it("is replaced by another object of the bucket (WF-12, SC-6)", async () => {
    const courierId = await pair("instead", cut(csv("1,+7")), RIGHT_PAIR);
    const { id } = await story.run(courierId);
    await story.customer.put("instead/other.gz", gzipSync(csv("1,+9")));
    const done = await resolve(await openAction(id), "attach_object", {
      case: "replacementKey",
      value: "instead/other.gz",
    });
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("instead.people")).toEqual(["Ann+9"]);
  });
});

describe("what a failed workflow keeps", () => {
  /** A feed's courier whose second file is cut short, and the workflow that failed by it. */
  async function half(of: Story, source: string): Promise<Workflow> {
    const feedId = await of.feed(source, "files", SPEC);
    const pattern = `'${source}/'*'.gz'`;
    const courierId = await of.courier({ feedId, pattern, settings: GZIP });
    await of.customer.put(`${source}/1.gz`, gzipSync(csv("1,One")));
    await of.customer.put(`${source}/2.gz`, cut(csv("2,Two")));
    return await of.run(courierId);
  }
  const stagedIn = async (of: Story, source: string): Promise<number> =>
    (
      await of.rows(
        `SELECT name FROM system.tables WHERE database = '${source}' AND name LIKE '%\\_\\_stg\\_%'`,
      )
    ).length;

  it("is staged rows and uploads, and both go when it is given up (WF-12)", async () => {
    const uploads = await createCustomer(story.local.aws, {
      bucket: "sluice-uploads",
      roleName: "uploads-reader",
      ...(await story.credentials.getPlatformIdentity({})),
    });
    const before = await uploads.keys();
    const { id, state } = await half(story, "given_up");
    expect(state).toBe(Workflow_State.FAILED);
    const action = await openAction(id);
    const sound = gzipSync(csv("2,Two"));
    await story.workflows.uploadReplacement(
      (async function* () {
        yield { header: { actionId: action.id }, chunk: sound };
      })(),
    );
    expect(await uploads.keys()).toHaveLength(before.length + 1);
    expect(await stagedIn(story, "given_up")).toBeGreaterThan(0);

    await story.workflows.cancelWorkflow({ id });
    await expect.poll(uploads.keys, { timeout: 30_000 }).toEqual(before);
    await expect.poll(() => stagedIn(story, "given_up"), { timeout: 30_000 }).toBe(0);
    const { actions } = await story.workflows.listActions({ workflowId: id });
    expect(actions.map((each) => each.state)).toEqual([Action_State.STALE]);
  });

  it("goes by itself when nobody resolves it in time (WF-10)", async () => {
    await using hasty = await startStory({ controlEnvironment: { SLUICE_KEEP_FAILED_HOURS: "0" } });
    const { id, state, tasks } = await half(hasty, "expired");
    expect(state).toBe(Workflow_State.FAILED);
    expect(tasks.filter(({ state: of }) => of === Task_State.SUCCEEDED).length).toBeGreaterThan(1);
    const actions = async () => (await hasty.workflows.listActions({ workflowId: id })).actions;
    await expect
      .poll(async () => (await actions()).map((action) => action.state), { timeout: 30_000 })
      .toEqual([Action_State.STALE]);
    await expect.poll(() => stagedIn(hasty, "expired"), { timeout: 30_000 }).toBe(0);
    const [action] = await actions();
    expect(action?.resolutions).toEqual([]);
    const late = await hasty.workflows
      .resolveAction({ id: action?.id ?? "", resolutionId: "retry_task" })
      .catch(ConnectError.from);
    expect(late).toMatchObject({ code: Code.FailedPrecondition });
    const { workflow } = await hasty.workflows.getWorkflow({ id });
    expect(workflow?.resumableUntil).toBeUndefined();
  });
});
