import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Action, Action_State } from "@sluice/api/control/v1/action_pb";
import { ActionKind } from "@sluice/api/control/v1/failure_pb";
import {
  ArchiveSettings_Kind,
  Compression,
  DelimitedSettings_Encoding,
  JsonSettings_Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import { Task_Kind, Task_State, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { zip } from "./layers.ts";
import {
  DAY,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

/** A workflow that failed goes on once its action is resolved: through the API alone, from failure to success. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const csv = (...rows: string[]): Buffer => Buffer.from(["id,name", ...rows, ""].join("\n"));
const DELIMITED = { format: { case: "delimited", value: {} } } as const;
const ZIP: FileSettings = { archive: { kind: ArchiveSettings_Kind.ZIP }, ...DELIMITED };

let story: Story;
let feeds = 0;
let feedId = "";
let table = "";

beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

/** A feed of its own for each story. */
async function freshFeed(): Promise<void> {
  table = `t${++feeds}`;
  feedId = await story.feed("actions", table, SPEC);
}

const names = async (): Promise<string[]> =>
  (await story.rows<{ name: string }>(`SELECT name FROM actions.${table} ORDER BY id`)).map(
    ({ name }) => name,
  );

/** The one open action of a workflow that has failed. */
async function actionOf(workflowId: string, kind: ActionKind): Promise<Action> {
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow).toMatchObject({
    state: Workflow_State.FAILED,
    resumableUntil: expect.anything(),
  });
  const { actions } = await story.workflows.listActions({ workflowId });
  const open = actions.filter(({ state }) => state === Action_State.OPEN);
  expect(open).toMatchObject([
    { workflowId, kind, failure: { code: expect.stringMatching(/\w/) } },
  ]);
  const [action] = open;
  if (action === undefined) throw new Error("there is no action");
  expect(action.steps.length).toBeGreaterThan(2);
  const offered = action.resolutions.map(({ id }) => id);
  expect(offered).toEqual(expect.arrayContaining(["retry_task", "restart_workflow"]));
  return action;
}

type Input = Parameters<Story["workflows"]["resolveAction"]>[0]["input"];

/** Resolves an action as it was read, and waits until the same workflow has ended. */
async function resolved(action: Action, resolutionId: string, input?: Input): Promise<void> {
  const request = { id: action.id, etag: action.etag, resolutionId };
  const answer = await story.workflows.resolveAction(
    input === undefined ? request : { ...request, input },
  );
  expect(answer).toMatchObject({
    workflowId: action.workflowId,
    action: { state: Action_State.RESOLVED, resolutionId, resolutions: [] },
  });
  for await (const _ of story.workflows.watchWorkflow({ id: action.workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: action.workflowId });
  expect(workflow?.failure).toBeUndefined();
  expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
}

async function upload(actionId: string, bytes: Uint8Array, sha256 = ""): Promise<string> {
  const { replacement } = await story.workflows.uploadReplacement(
    (async function* () {
      yield { header: { actionId, sha256 }, chunk: bytes.subarray(0, 10) };
      for (let at = 10; at < bytes.byteLength; at += 1_000_000) {
        yield { chunk: bytes.subarray(at, at + 1_000_000) };
      }
    })(),
  );
  expect(replacement).toMatchObject({
    size: BigInt(bytes.byteLength),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  });
  return replacement?.id ?? "";
}

/** A zip whose only entry is damaged behind the sound head of the container. */
function damaged(name: string, content: Uint8Array): Buffer {
  const bytes = Buffer.from(zip([[name, content]]));
  const at = Math.floor(bytes.byteLength / 2);
  for (let i = at; i < at + 20; i++) bytes[i] = (bytes[i] ?? 0) ^ 0x5a;
  return bytes;
}

const many = (count: number, name: string): Buffer =>
  csv(
    ...Array.from(
      { length: count },
      (_, i) => `${i + 10},${name} ${randomBytes(8).toString("hex")}`,
    ),
  );

describe("bad archive", () => {
  it("is resolved by an uploaded file; what was loaded before stays as it is (WF-2, WF-5, WF-6, WF-11, WF-12)", async () => {
    await freshFeed();
    const content = many(20_000, "row");
    await story.customer.put("bad/1.zip", zip([["a.csv", csv("1,One")]]));
    await story.customer.put("bad/2.zip", damaged("b.csv", content));
    await story.customer.put("bad/3.zip", zip([["c.csv", csv("3,Three")]]));
    const courier = await story.courier({ feedId, pattern: "'bad/'*'.zip'", settings: ZIP });
    const { id } = await story.run(courier);
    expect(await names()).toEqual([]);
    const action = await actionOf(id, ActionKind.BAD_ARCHIVE);
    expect(action.failure?.coordinate?.key).toBe("bad/2.zip");

    const sound = zip([["b.csv", content]]);
    const wrong = await ConnectError.from(
      await upload(action.id, sound, "0".repeat(64)).catch((error: unknown) => error),
    );
    expect(wrong.code).toBe(Code.InvalidArgument);
    const value = await upload(action.id, sound);
    await resolved(action, "attach_object", { case: "replacementId", value });

    expect(await names()).toHaveLength(20_002);
    const { workflow } = await story.workflows.getWorkflow({ id });
    const loads = workflow?.tasks.filter(({ kind }) => kind === Task_Kind.LOAD_OBJECT) ?? [];
    expect(loads.map(({ key, attempts }) => [key, attempts.length])).toEqual([
      ["bad/1.zip", 1],
      ["bad/2.zip", 2],
      ["bad/3.zip", 1],
    ]);
    expect(workflow?.warnings.join()).toContain("bad/2.zip was replaced by an uploaded file");
    expect(await story.rows(`SELECT DISTINCT _file FROM actions.${table} ORDER BY 1`)).toHaveLength(
      3,
    );
  });

  it("is resolved by another object of the bucket, named by its key (WF-8, WF-12)", async () => {
    await freshFeed();
    await story.customer.put("bad-named.zip", damaged("b.csv", many(2_000, "row")));
    await story.customer.put("sent-again.zip", zip([["b.csv", csv("1,One")]]));
    const { id } = await story.run(
      await story.courier({ feedId, key: "bad-named.zip", settings: ZIP }),
    );
    const action = await actionOf(id, ActionKind.BAD_ARCHIVE);
    await resolved(action, "attach_object", { case: "replacementKey", value: "sent-again.zip" });
    expect(await names()).toEqual(["One"]);
  });
});

describe("invalid bucket name", () => {
  it("is resolved by correcting the bucket (WF-9, WF-13, WF-14)", async () => {
    await freshFeed();
    await story.customer.put("bucket.csv", csv("1,One"));
    const credentialId = await credential("Typo", { bucket: "acme-exprots" });
    const { id } = await story.run(
      await story.courier({ feedId, key: "bucket.csv", credentialId }),
    );
    const action = await actionOf(id, ActionKind.INVALID_BUCKET_NAME);
    expect(action.steps.join(" ")).toContain("AWS console");
    await resolved(action, "update_credential", {
      case: "credential",
      value: {
        credential: {
          id: credentialId,
          kind: { case: "iamRoleToRole", value: { bucket: story.customer.bucket } },
        },
        updateMask: { paths: ["iam_role_to_role.bucket"] },
      },
    });
    expect(await names()).toEqual(["One"]);
  });

  it("is resolved by another credential in the courier (WF-14)", async () => {
    await freshFeed();
    await story.customer.put("bucket2.csv", csv("1,One"));
    const credentialId = await credential("Typo again", { bucket: "acme-exprots" });
    const courierId = await story.courier({ feedId, key: "bucket2.csv", credentialId });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.INVALID_BUCKET_NAME);
    await resolved(action, "patch_courier", {
      case: "courier",
      value: {
        courier: { id: courierId, credentialId: story.credentialId },
        updateMask: { paths: ["credential_id"] },
      },
    });
    expect(await names()).toEqual(["One"]);
  });
});

describe("invalid credentials", () => {
  it("are read anew once they were corrected (WF-10, WF-15)", async () => {
    await freshFeed();
    await story.customer.put("role.csv", csv("1,One"));
    const credentialId = await credential("Role gone", {
      targetRoleArn: "arn:aws:iam::111122223333:role/never-was",
    });
    const { id } = await story.run(await story.courier({ feedId, key: "role.csv", credentialId }));
    const action = await actionOf(id, ActionKind.INVALID_CREDENTIALS);
    const offered = action.resolutions.find((each) => each.id === "update_credential");
    expect(offered?.how.value).toMatchObject({ credentialId, name: "Role gone" });
    await story.credentials.updateCredential({
      credential: {
        id: credentialId,
        kind: { case: "iamRoleToRole", value: { targetRoleArn: story.customer.roleArn } },
      },
      updateMask: { paths: ["iam_role_to_role.target_role_arn"] },
    });
    await resolved(action, "update_credential");
    expect(await names()).toEqual(["One"]);
  });
});

describe("missing file", () => {
  const entry = (tag: string) => ({
    tag,
    selection: { case: "name", value: `${tag}.csv` } as const,
    settings: DELIMITED,
  });
  /** An archive that has to hold a.csv and b.csv, and lacks the second. */
  async function lacking(key: string): Promise<{ courierId: string; action: Action }> {
    await freshFeed();
    await story.customer.put(key, zip([["a.csv", csv("1,A")]]));
    const settings: FileSettings = {
      archive: { kind: ArchiveSettings_Kind.ZIP, entries: [entry("a"), entry("b")] },
    };
    const courierId = await story.courier({ feedId, key, settings });
    const { id } = await story.run(courierId);
    expect(await names()).toEqual([]);
    return { courierId, action: await actionOf(id, ActionKind.MISSING_FILE) };
  }

  it("is added to the archive by the customer, and the workflow goes on (WF-16, WF-17)", async () => {
    const { action } = await lacking("lacking-1.zip");
    await story.customer.put(
      "lacking-1.zip",
      zip([
        ["a.csv", csv("1,A")],
        ["b.csv", csv("2,B")],
      ]),
    );
    await resolved(action, "retry_task");
    expect(await names()).toEqual(["A", "B"]);
  });

  it("is made optional in the courier (WF-16, WF-17)", async () => {
    const { action, courierId } = await lacking("lacking-2.zip");
    await resolved(action, "make_entry_optional");
    expect(await names()).toEqual(["A"]);
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const entries = courier?.files[0]?.settings?.archive?.entries ?? [];
    expect(entries.map(({ tag, optional }) => [tag, optional])).toEqual([
      ["a", false],
      ["b", true],
    ]);
  });

  it("is done without this once; the courier stays as it is (WF-17)", async () => {
    const { action, courierId } = await lacking("lacking-3.zip");
    await resolved(action, "ignore_missing_once");
    expect(await names()).toEqual(["A"]);
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const entries = courier?.files[0]?.settings?.archive?.entries ?? [];
    expect(entries.map(({ optional }) => optional)).toEqual([false, false]);
  });
});

describe("PGP error", () => {
  it("names the keys wanted and held, and is resolved by the right key (WF-18, WF-19)", async () => {
    await freshFeed();
    const held = await generateKey({ userIDs: [{ name: "Held" }] });
    const wanted = await generateKey({ userIDs: [{ name: "Wanted" }] });
    const key = "secret.csv.pgp";
    await story.customer.put(
      key,
      await encrypt({
        message: await createMessage({ binary: csv("1,Secret") }),
        encryptionKeys: await readKey({ armoredKey: wanted.publicKey }),
        format: "binary",
      }),
    );
    const { credential: pgp } = await story.credentials.createCredential({
      credential: {
        name: "Keys",
        kind: { case: "pgp", value: { privateKeyBlock: held.privateKey } },
      },
    });
    const credentialId = pgp?.id ?? "";
    const settings: FileSettings = {
      encryption: { case: "pgp", value: { credentialId } },
      ...DELIMITED,
    };
    const { id } = await story.run(await story.courier({ feedId, key, settings }));
    const action = await actionOf(id, ActionKind.PGP_ERROR);
    const subkey = (await readKey({ armoredKey: wanted.publicKey })).getSubkeys()[0];
    expect(action.failure?.seen.toLowerCase()).toContain(subkey?.getKeyID().toHex());
    await resolved(action, "update_credential", {
      case: "credential",
      value: {
        credential: {
          id: credentialId,
          kind: { case: "pgp", value: { privateKeyBlock: wanted.privateKey } },
        },
        updateMask: { paths: ["pgp.private_key_block"] },
      },
    });
    expect(await names()).toEqual(["Secret"]);
  });
});

describe("unable to decompress", () => {
  it("tells an archive by another name from one that is missing (WF-20, WF-21)", async () => {
    await freshFeed();
    await story.customer.put(`named/orders-export-${DAY}.zip`, zip([["a.csv", csv("1,One")]]));
    const courierId = await story.courier({
      feedId,
      pattern: "'named/order-export-'yyyy-MM-dd'.zip'",
      settings: ZIP,
    });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    expect(action.failure).toMatchObject({
      code: "name_mismatch",
      seen: `named/orders-export-${DAY}.zip`,
      expected: `named/order-export-${DAY}.zip`,
    });
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const file = courier?.files[0];
    if (file === undefined) throw new Error("the courier has no file");
    file.selection = { case: "pattern", value: "'named/orders-export-'yyyy-MM-dd'.zip'" };
    await resolved(action, "patch_courier", {
      case: "courier",
      value: { courier: { id: courierId, files: [file] }, updateMask: { paths: ["files"] } },
    });
    expect(await names()).toEqual(["One"]);
  });

  it("switches from archive to file where the object is a plain file (WF-20, WF-21, WF-22)", async () => {
    await freshFeed();
    await story.customer.put("plain.zip", csv("1,Plain"));
    const courierId = await story.courier({ feedId, key: "plain.zip", settings: ZIP });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    expect(action.failure).toMatchObject({
      code: "not_this_container",
      proposedChange: { updateMask: { paths: ["archive"] } },
    });
    await resolved(action, "archive_to_file");
    expect(await names()).toEqual(["Plain"]);
    const { courier } = await story.couriers.getCourier({ id: courierId });
    expect(courier?.files[0]?.settings?.archive).toBeUndefined();
  });

  it("loads a sound archive once it was put in the place of broken contents (WF-20, WF-21, WF-22)", async () => {
    await freshFeed();
    await story.customer.put("noise.zip", randomBytes(5_000));
    const { id } = await story.run(
      await story.courier({ feedId, key: "noise.zip", settings: ZIP }),
    );
    const action = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    expect(action.failure?.code).toBe("not_this_container");
    expect(action.failure?.proposedChange).toBeUndefined();
    await story.customer.put("noise.zip", zip([["a.csv", csv("1,Sound")]]));
    await resolved(action, "retry_task");
    expect(await names()).toEqual(["Sound"]);
  });

  it("proposes the setting that the bytes tell, and takes it on (WF-8, WF-22)", async () => {
    await freshFeed();
    await story.customer.put("really-a.zip", zip([["a.csv", csv("1,One")]]));
    const settings: FileSettings = { compression: Compression.GZIP, ...DELIMITED };
    const courierId = await story.courier({ feedId, key: "really-a.zip", settings });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    const patch = action.resolutions.find((each) => each.id === "patch_courier")?.how;
    expect(patch?.case === "patchCourier" && patch.value.courier?.files[0]?.settings).toMatchObject(
      {
        compression: Compression.NONE,
        archive: { kind: ArchiveSettings_Kind.ZIP },
      },
    );
    await resolved(action, "patch_courier");
    expect(await names()).toEqual(["One"]);
  });
});

describe("settings that the bytes speak against", () => {
  const shape = (of: JsonSettings_Shape): FileSettings => ({
    format: { case: "json", value: { shape: of } },
  });
  it.each<[string, string | Uint8Array, FileSettings, ActionKind, FileSettings["format"]]>([
    [
      "JSON of another shape",
      '{"id":1,"name":"One"}\n{"id":2,"name":"Two"}\n',
      shape(JsonSettings_Shape.RECORDS),
      ActionKind.FIX_FILE_OR_SETTINGS,
      { case: "json", value: { shape: JsonSettings_Shape.LINES } },
    ],
    [
      "a table under the settings of JSON",
      "id;name\n1;One\n2;Two\n",
      shape(JsonSettings_Shape.LINES),
      ActionKind.FIX_FILE_OR_SETTINGS,
      { case: "delimited", value: { delimiter: ";" } },
    ],
    [
      "another delimiter",
      "id|name\n1|One\n2|Two\n",
      DELIMITED,
      ActionKind.SCHEMA_MISMATCH,
      { case: "delimited", value: { delimiter: "|" } },
    ],
    [
      "another encoding",
      Buffer.from("id,name\n1,One\n2,Two\n3,Zo\xeb\n", "latin1"),
      DELIMITED,
      ActionKind.FIX_FILE_OR_SETTINGS,
      { case: "delimited", value: { encoding: DelimitedSettings_Encoding.WINDOWS_1252 } },
    ],
    [
      "XML",
      "<all><one><id>1</id><name>One</name></one><one><id>2</id><name>Two</name></one></all>",
      DELIMITED,
      ActionKind.FIX_FILE_OR_SETTINGS,
      { case: "xml", value: { rowElement: "one" } },
    ],
  ])(
    "are changed as proposed, and the file loads: %s (WF-22)",
    async (name, bytes, settings, kind, format) => {
      await freshFeed();
      const key = name.replaceAll(" ", "-");
      await story.customer.put(key, bytes);
      const courierId = await story.courier({ feedId, key, settings });
      const { id } = await story.run(courierId);
      await resolved(await actionOf(id, kind), "patch_courier");
      expect((await names()).slice(0, 2)).toEqual(["One", "Two"]);
      const { courier } = await story.couriers.getCourier({ id: courierId });
      expect(courier?.files[0]?.settings?.format).toMatchObject(format ?? {});
    },
  );
});

describe("every action", () => {
  it("that changes settings on the way leaves no file on record as read by them that was not (WF-22)", async () => {
    await freshFeed();
    await story.customer.put("mixed/a", gzipSync(csv("1,One")));
    await story.customer.put("mixed/b", csv("2,Two"));
    const settings: FileSettings = { compression: Compression.GZIP, ...DELIMITED };
    const courierId = await story.courier({ feedId, pattern: "'mixed/'*", settings });
    const { id } = await story.run(courierId);
    await resolved(await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS), "patch_courier");
    expect(await names()).toEqual(["One", "Two"]);
    // By the settings as they are now, the first file does not open: it must not pass for loaded.
    const { failure } = await story.run(courierId);
    expect(failure).toMatchObject({ coordinate: { key: "mixed/a" } });
  });

  it("is refused when it is stale, and resolved once by a request id (WF-7, WF-10)", async () => {
    await freshFeed();
    await story.customer.put("again.csv.gz", csv("1,One"));
    const settings: FileSettings = { compression: Compression.GZIP, ...DELIMITED };
    const courierId = await story.courier({ feedId, key: "again.csv.gz", settings });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    const { courier } = await story.couriers.getCourier({ id: courierId });
    await story.couriers.updateCourier({
      courier: { id: courierId, name: "renamed meanwhile", etag: courier?.etag ?? "" },
      updateMask: { paths: ["name"] },
    });
    const asked = { id: action.id, etag: action.etag, resolutionId: "patch_courier" };
    const stale = await story.workflows.resolveAction(asked).catch(ConnectError.from);
    expect(stale).toMatchObject({ code: Code.FailedPrecondition });

    const fresh = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    const request = { ...asked, etag: fresh.etag, requestId: "resolve-once" };
    await story.workflows.resolveAction(request);
    await story.workflows.resolveAction(request);
    for await (const _ of story.workflows.watchWorkflow({ id }));
    expect(await names()).toEqual(["One"]);
    const again = await story.workflows.resolveAction(asked).catch(ConnectError.from);
    expect(again).toMatchObject({ code: Code.FailedPrecondition });
  });

  it("lets a workflow be begun anew as the courier is now, and the old one go (WF-7)", async () => {
    await freshFeed();
    await story.customer.put("restart.csv", csv("1,One"));
    const settings: FileSettings = { compression: Compression.GZIP, ...DELIMITED };
    const courierId = await story.courier({ feedId, key: "restart.csv", settings });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.UNABLE_TO_DECOMPRESS);
    const { courier } = await story.couriers.getCourier({ id: courierId });
    const file = courier?.files[0];
    if (file?.settings === undefined) throw new Error("the courier has no file");
    file.settings.compression = Compression.AUTO;
    await story.couriers.updateCourier({
      courier: { id: courierId, files: [file] },
      updateMask: { paths: ["files"] },
    });
    const { workflowId } = await story.workflows.resolveAction({
      id: action.id,
      resolutionId: "restart_workflow",
    });
    expect(workflowId).not.toBe(id);
    for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
    expect(await names()).toEqual(["One"]);
    const { workflow } = await story.workflows.getWorkflow({ id });
    expect(workflow).toMatchObject({ state: Workflow_State.FAILED });
    expect(workflow?.resumableUntil).toBeUndefined();
  });

  it("of a threshold raises it once, and counts every rejected row again (WF-8)", async () => {
    await freshFeed();
    await story.customer.put("rejects.csv", csv("1,One", "x,Two", "3,Three", "4,Four"));
    const { id } = await story.run(await story.courier({ feedId, key: "rejects.csv" }));
    const action = await actionOf(id, ActionKind.THRESHOLD_EXCEEDED);
    expect((await story.tables.listRejects({ feedId, workflowId: id })).rejects).toHaveLength(1);
    await resolved(action, "raise_threshold_once");
    expect(await names()).toEqual(["One", "Three", "Four"]);
    expect((await story.tables.listRejects({ feedId, workflowId: id })).rejects).toHaveLength(1);
    const { feed } = await story.feeds.getFeed({ id: feedId });
    expect(feed?.spec?.errorThresholdPercent ?? 1).toBe(1);
  });

  it("of a list goes on without the file, or with the file that came (WF-7, WF-17)", async () => {
    await freshFeed();
    const courierId = await story.courier({ feedId, key: "late.csv" });
    const { id } = await story.run(courierId);
    const action = await actionOf(id, ActionKind.MISSING_FILE);
    await story.workflows.resolveAction({ id: action.id, resolutionId: "ignore_missing_once" });
    for await (const _ of story.workflows.watchWorkflow({ id }));
    expect((await story.workflows.getWorkflow({ id })).workflow?.state).toBe(
      Workflow_State.SKIPPED,
    );

    const second = await story.run(courierId);
    const { taskId } = await actionOf(second.id, ActionKind.MISSING_FILE);
    await story.customer.put("late.csv", csv("1,Late"));
    await story.workflows.retryTask({ taskId, requestId: "late" });
    await story.workflows.retryTask({ taskId, requestId: "late" });
    for await (const _ of story.workflows.watchWorkflow({ id: second.id }));
    expect(await names()).toEqual(["Late"]);
    const { workflow } = await story.workflows.getWorkflow({ id: second.id });
    expect(workflow?.tasks[0]).toMatchObject({ state: Task_State.SUCCEEDED });
  });
});

async function credential(
  name: string,
  other: { readonly bucket?: string; readonly targetRoleArn?: string },
): Promise<string> {
  const value = {
    targetRoleArn: story.customer.roleArn,
    bucket: story.customer.bucket,
    ...other,
  };
  const { credential: made } = await story.credentials.createCredential({
    credential: { name, kind: { case: "iamRoleToRole", value } },
  });
  return made?.id ?? "";
}
