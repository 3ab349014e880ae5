import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Action, Action_State } from "@sluice/api/control/v1/action_pb";
import { type Courier, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ArchiveSettings_Kind, Compression } from "@sluice/api/control/v1/file_settings_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { zip } from "./layers.ts";
import {
  CSV,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

/** Ways out that change the courier: where an ingest query reads the file, and deep in archives. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const csv = (...rows: string[]): Buffer => Buffer.from(["id,name", ...rows, ""].join("\n"));

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const namesIn = async (table: string): Promise<string[]> =>
  (await story.rows<{ name: string }>(`SELECT name FROM ${table} ORDER BY id`)).map(
    ({ name }) => name,
  );

async function openAction(workflowId: string): Promise<Action> {
  const { actions } = await story.workflows.listActions({ workflowId });
  const open = actions.filter(({ state }) => state === Action_State.OPEN);
  const [action] = open;
  if (action === undefined || open.length > 1) throw new Error(`${open.length} actions are open`);
  return action;
}

async function rested(id: string): Promise<Workflow> {
  for await (const _ of story.workflows.watchWorkflow({ id }));
  const { workflow } = await story.workflows.getWorkflow({ id });
  if (workflow === undefined) throw new Error("the workflow is gone");
  return workflow;
}

async function courierNow(id: string): Promise<Courier> {
  const { courier } = await story.couriers.getCourier({ id });
  if (courier === undefined) throw new Error("the courier is gone");
  return courier;
}

const offersOf = ({ resolutions }: Action): string[] => resolutions.map(({ id }) => id);

type Input = Parameters<Story["workflows"]["resolveAction"]>[0]["input"];

/** Resolves an action, and gives the workflow that goes on, or was begun, as it rests. */
async function resolved(action: Action, resolutionId: string, input?: Input): Promise<Workflow> {
  expect(offersOf(action)).toContain(resolutionId);
  const request = { id: action.id, etag: action.etag, resolutionId };
  const { workflowId } = await story.workflows.resolveAction(
    input === undefined ? request : { ...request, input },
  );
  return await rested(workflowId);
}

describe("a file that an ingest query reads and that its settings don't fit", () => {
  /** A courier of a query over two files, of which the second is opened by these settings. */
  async function pair(source: string, points: Buffer, settings: FileSettings): Promise<string> {
    const feedId = await story.feed(source, "people", SPEC);
    await story.customer.put(`${source}/people`, csv("1,Ann"));
    await story.customer.put(`${source}/points`, points);
    const tags = ["people", "points"];
    const sql =
      "SELECT p.id AS id, p.name || q.name AS name FROM people AS p JOIN points AS q ON q.id = p.id";
    const { courier } = await story.couriers.createCourier({
      courier: {
        name: source,
        credentialId: story.credentialId,
        files: tags.map((tag) => ({
          tag,
          selection: { case: "key", value: `${source}/${tag}` },
          settings: tag === "points" ? settings : CSV,
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
  const GZIP: FileSettings = { ...CSV, compression: Compression.GZIP };
  const ZIP: FileSettings = { ...CSV, archive: { kind: ArchiveSettings_Kind.ZIP } };

  it("is offered the courier as the bytes propose with a restart, and nothing that would be refused (WF-7, WF-8, WF-10, SC-6)", async () => {
    const courierId = await pair("proposed", csv("1,+7"), GZIP);
    const failed = await story.run(courierId);
    expect(failed.failure).toMatchObject({
      code: "not_this_container",
      coordinate: { key: "proposed/points" },
    });
    const action = await openAction(failed.id);
    expect(offersOf(action)).toEqual([
      "patch_and_restart",
      "attach_object",
      "retry_task",
      "restart_workflow",
    ]);
    // It would be refused, as it is when it is asked for all the same.
    const refused = story.workflows.resolveAction({ id: action.id, resolutionId: "patch_courier" });
    expect(await refused.catch(ConnectError.from)).toMatchObject({
      code: Code.FailedPrecondition,
      rawMessage: expect.stringContaining("patch_and_restart"),
    });

    const done = await resolved(action, "patch_and_restart");
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(done.id).not.toBe(failed.id);
    expect(await namesIn("proposed.people")).toEqual(["Ann+7"]);
    expect((await courierNow(courierId)).files[1]?.settings?.compression).toBe(Compression.NONE);
    const { action: after } = await story.workflows.getAction({ id: action.id });
    expect(after).toMatchObject({
      state: Action_State.RESOLVED,
      resolutionId: "patch_and_restart",
      restartedAs: done.id,
    });
  });

  it("is opened as the call says, or as the courier says by then (WF-7, WF-10, SC-6)", async () => {
    const plain = csv("1,+8");
    const courierId = await pair("said", plain, ZIP);
    const action = await openAction((await story.run(courierId)).id);
    expect(offersOf(action)).not.toContain("archive_to_file");
    const { files } = await courierNow(courierId);
    const settings = files[1]?.settings;
    if (settings === undefined) throw new Error("the courier has no second file");
    delete settings.archive;
    const done = await resolved(action, "patch_and_restart", {
      case: "courier",
      value: { courier: { id: courierId, files }, updateMask: { paths: ["files"] } },
    });
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("said.people")).toEqual(["Ann+8"]);

    const other = await pair("changed", plain, ZIP);
    const failed = await story.run(other);
    const changed = await courierNow(other);
    const second = changed.files[1]?.settings;
    if (second === undefined) throw new Error("the courier has no second file");
    delete second.archive;
    await story.couriers.updateCourier({
      courier: { id: other, files: changed.files },
      updateMask: { paths: ["files"] },
    });
    const again = await resolved(await openAction(failed.id), "patch_and_restart");
    expect(again.state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("changed.people")).toEqual(["Ann+8"]);
  });
});

describe("a file in an archive in an archive", () => {
  const settingsOf = (inner: FileSettings): FileSettings => ({
    archive: {
      kind: ArchiveSettings_Kind.ZIP,
      entries: [
        {
          tag: "inner",
          selection: { case: "name", value: "in/inner.zip" },
          settings: inner,
        },
      ],
    },
  });
  const holding = (...entries: { tag: string; name: string; settings: FileSettings }[]) =>
    settingsOf({
      archive: {
        kind: ArchiveSettings_Kind.ZIP,
        entries: entries.map(({ tag, name, settings }) => ({
          tag,
          selection: { case: "name", value: name },
          settings,
        })),
      },
    });

  async function courier(
    source: string,
    inner: Uint8Array,
    settings: FileSettings,
  ): Promise<string> {
    const feedId = await story.feed(source, "people", SPEC);
    await story.customer.put(`${source}.zip`, zip([["in/inner.zip", Buffer.from(inner)]]));
    const { courier: made } = await story.couriers.createCourier({
      courier: {
        name: source,
        credentialId: story.credentialId,
        files: [{ tag: "outer", selection: { case: "key", value: `${source}.zip` }, settings }],
        loads: [
          {
            feed: { case: "feedId", value: feedId },
            fileTag: "people",
            operation: LoadOperation.LOAD,
          },
        ],
      },
    });
    return made?.id ?? "";
  }

  /** The settings of what stands in the inner archive. */
  const deepest = ({ files }: Courier): Courier["files"][number]["settings"] =>
    files[0]?.settings?.archive?.entries[0]?.settings?.archive?.entries[0]?.settings;

  it("is opened as its bytes propose, at its own depth (WF-8, WF-22)", async () => {
    const settings = holding({
      tag: "people",
      name: "people.csv",
      settings: { ...CSV, compression: Compression.NONE },
    });
    const courierId = await courier(
      "deep",
      zip([["people.csv", gzipSync(csv("1,Deep"))]]),
      settings,
    );
    const failed = await story.run(courierId);
    expect(failed.failure).toMatchObject({
      code: "not_this_container",
      coordinate: { entry: "in/inner.zip/people.csv" },
    });
    const done = await resolved(await openAction(failed.id), "patch_courier");
    expect(done).toMatchObject({ id: failed.id, state: Workflow_State.SUCCEEDED });
    expect(await namesIn("deep.people")).toEqual(["Deep"]);
    expect(deepest(await courierNow(courierId))?.compression).toBe(Compression.GZIP);
  });

  it("is made optional in its own archive when it is missing (WF-8, WF-17)", async () => {
    const settings = holding(
      { tag: "people", name: "people.csv", settings: CSV },
      { tag: "more", name: "more.csv", settings: CSV },
    );
    const courierId = await courier("lacking", zip([["people.csv", csv("1,There")]]), settings);
    const { feed } = (await courierNow(courierId)).loads[0] ?? { feed: { case: undefined } };
    await story.couriers.updateCourier({
      courier: {
        id: courierId,
        loads: ["people", "more"].map((fileTag) => ({
          feed,
          fileTag,
          operation: LoadOperation.LOAD,
        })),
      },
      updateMask: { paths: ["loads"] },
    });
    const failed = await story.run(courierId);
    expect(failed.failure).toMatchObject({
      code: "entry_missing",
      coordinate: { entry: "in/inner.zip" },
    });
    const done = await resolved(await openAction(failed.id), "make_entry_optional");
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("lacking.people")).toEqual(["There"]);
    const inner = (await courierNow(courierId)).files[0]?.settings?.archive?.entries[0];
    expect(inner?.optional).toBe(false);
    expect(inner?.settings?.archive?.entries.map(({ optional }) => optional)).toEqual([
      false,
      true,
    ]);
  });

  it("that is no archive is taken for a plain file, and its loads follow (WF-8, WF-22)", async () => {
    const settings = holding({ tag: "people", name: "people.csv", settings: CSV });
    const courierId = await courier("flat", csv("1,Flat"), settings);
    const failed = await story.run(courierId);
    expect(failed.failure).toMatchObject({
      code: "not_this_container",
      coordinate: { entry: "in/inner.zip" },
    });
    const done = await resolved(await openAction(failed.id), "archive_to_file");
    expect(done.state).toBe(Workflow_State.SUCCEEDED);
    expect(await namesIn("flat.people")).toEqual(["Flat"]);
    const { files, loads } = await courierNow(courierId);
    const inner = files[0]?.settings?.archive?.entries[0];
    expect(inner).toMatchObject({ tag: "inner", settings: { format: { case: "delimited" } } });
    expect(inner?.settings?.archive).toBeUndefined();
    expect(loads.map(({ fileTag }) => fileTag)).toEqual(["inner"]);
  });
});
