import { randomBytes } from "node:crypto";
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { SERVICES } from "@sluice/api/control/v1/catalog";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyFile } from "../src/access/key-file.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { type InspectDouble, startInspectDouble, WORKER_KEY } from "./testing/inspect-double.ts";

/** Attack R3: one tenant names what is another's, in every field of every method that takes an id. */

type Ids = Readonly<Record<string, string>>;
type Row = readonly [method: string, body: (id: Ids) => JsonObject, name?: string];

const SPEC = {
  fields: [{ incomingName: "id", name: "id", type: { integer: {} } }],
  primaryKey: ["id"],
};
const role = { targetRoleArn: "arn:aws:iam::123456789012:role/reader", bucket: "acme-data" };
const pgpFile = (credentialId = ""): JsonObject => ({ pgp: { credentialId }, delimited: {} });
const pgpEntry = (credentialId = ""): JsonObject => ({
  archive: {
    kind: "KIND_ZIP",
    entries: [{ name: "a", tag: "a", settings: pgpFile(credentialId) }],
  },
});
const courier = (
  credentialId = "",
  feedId = "",
  settings: JsonObject = { delimited: {} },
): JsonObject => ({
  name: "a courier",
  credentialId,
  files: [{ tag: "t", key: "k.csv", settings }],
  loads: [{ feedId, fileTag: "t", operation: "LOAD_OPERATION_LOAD" }],
});
const one =
  (kind: string): Row[1] =>
  (id) => ({ id: id[kind] ?? "" });
const feed: Row[1] = (id) => ({ feedId: id.feed ?? "" });

/** Requests that name ids of every kind, each in a place of its own. `own` is what the caller has itself. */
const ROWS: readonly Row[] = [
  ["AccessService/RevokeApiKey", one("key")],
  ["CredentialService/GetCredential", one("credential")],
  [
    "CredentialService/UpdateCredential",
    (id) => ({ credential: { id: id.credential ?? "", name: "mine now" }, updateMask: "name" }),
  ],
  ["CredentialService/DeleteCredential", one("credential")],
  ["CredentialService/TestCredential", one("credential")],
  ["CredentialService/GetTrustPolicy", (id) => ({ credentialId: id.credential ?? "" })],
  ["SourceService/DeleteSource", one("source")],
  ["SourceService/BrowseObjects", (id) => ({ credentialId: id.credential ?? "" })],
  ["SourceService/PreviewObject", (id) => ({ credentialId: id.credential ?? "", key: "k" })],
  [
    "SourceService/PreviewObject",
    (id) => ({
      credentialId: id.own ?? "",
      key: "k",
      settings: { delimited: {} },
      feedId: id.feed ?? "",
    }),
    "by its feed",
  ],
  [
    "SourceService/PreviewObject",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpFile(id.credential) }),
    "by its PGP keys",
  ],
  ["SourceService/InferFileSettings", (id) => ({ credentialId: id.credential ?? "", key: "k" })],
  [
    "SourceService/InferFileSettings",
    (id) => ({ credentialId: id.own ?? "", key: "k", pgpCredentialId: id.credential ?? "" }),
    "by its PGP keys",
  ],
  [
    "SourceService/InferFileSettings",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpFile(id.credential) }),
    "by the PGP keys of its settings",
  ],
  [
    "SourceService/PreviewObject",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpEntry(id.credential) }),
    "by the PGP keys of an entry",
  ],
  [
    "SourceService/InferFileSettings",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpEntry(id.credential) }),
    "by the PGP keys of an entry",
  ],
  [
    "FeedService/CheckFile",
    (id) => ({
      feedId: id.ownFeed ?? "",
      credentialId: id.own ?? "",
      key: "k",
      settings: pgpEntry(id.credential),
    }),
    "by the PGP keys of an entry",
  ],
  ["FeedService/GetFeed", one("feed")],
  [
    "FeedService/UpdateFeed",
    (id) => ({ feed: { id: id.feed ?? "", spec: SPEC }, updateMask: "spec" }),
  ],
  [
    "FeedService/ValidateFeed",
    (id) => ({ feed: { id: id.feed ?? "", source: "x", name: "y", spec: SPEC } }),
  ],
  ["FeedService/ActivateFeed", one("feed")],
  ["FeedService/DiscardDraft", one("feed")],
  ["FeedService/DeleteFeed", one("feed")],
  ["FeedService/ListFeedVersions", one("feed")],
  ["FeedService/GetFeedVersion", (id) => ({ id: id.feed ?? "", version: 1 })],
  [
    "FeedService/CheckFile",
    (id) => ({ feedId: id.feed ?? "", credentialId: id.own ?? "", key: "k" }),
  ],
  [
    "FeedService/CheckFile",
    (id) => ({ feedId: id.ownFeed ?? "", credentialId: id.credential ?? "", key: "k" }),
    "by its credential",
  ],
  [
    "FeedService/CheckFile",
    (id) => ({
      feedId: id.ownFeed ?? "",
      credentialId: id.own ?? "",
      key: "k",
      settings: pgpFile(id.credential),
    }),
    "by its PGP keys",
  ],
  ["FeedService/CompareFeedVersions", feed],
  [
    "FeedService/CompareFeedVersions",
    (id) => ({ feedId: id.ownFeed ?? "", courierId: id.courier ?? "" }),
    "by its courier",
  ],
  ["FeedService/GetComparison", (id) => ({ workflowId: id.workflow ?? "" })],
  ["CourierService/GetCourier", one("courier")],
  ["CourierService/ListCouriers", feed],
  ["CourierService/DeleteCourier", one("courier")],
  ["CourierService/CopyCourier", one("courier")],
  ["CourierService/RunCourier", (id) => ({ id: id.courier ?? "", date: "2026-11-20" })],
  ["CourierService/PlanRun", (id) => ({ id: id.courier ?? "", date: "2026-11-20" })],
  [
    "CourierService/CreateCourier",
    (id) => ({ courier: courier(id.credential, id.ownFeed) }),
    "with its credential",
  ],
  [
    "CourierService/CreateCourier",
    (id) => ({ courier: courier(id.own, id.feed) }),
    "into its feed",
  ],
  [
    "CourierService/CreateCourier",
    (id) => ({ courier: courier(id.own, id.ownFeed, pgpFile(id.credential)) }),
    "with its PGP keys",
  ],
  [
    "CourierService/UpdateCourier",
    (id) => ({ courier: { id: id.courier ?? "", name: "mine now" }, updateMask: "name" }),
  ],
  [
    "CourierService/UpdateCourier",
    (id) => ({
      courier: {
        ...courier(id.credential, id.feed, pgpFile(id.credential)),
        id: id.ownCourier ?? "",
      },
      updateMask: "credentialId,files,loads",
    }),
    "with its credential and feed",
  ],
  [
    "CourierService/ImportLegacyCourier",
    (id) => ({
      name: "legacy",
      entitiesJson: "[]",
      credentialId: id.credential ?? "",
      feedIds: { a: id.feed ?? "" },
      pgpCredentialId: id.credential ?? "",
    }),
  ],
  ["CourierService/BacktestPattern", (id) => ({ courierId: id.courier ?? "" })],
  [
    "CourierService/BacktestPattern",
    (id) => ({ trial: { credentialId: id.credential ?? "", pattern: "yyyy'.csv'" } }),
    "of its bucket",
  ],
  [
    "CourierGroupService/CreateCourierGroup",
    (id) => ({ courierGroup: { name: "g", members: [{ courierId: id.courier ?? "" }] } }),
    "of its courier",
  ],
  [
    "CourierGroupService/CreateCourierGroup",
    (id) => ({
      courierGroup: {
        name: "g",
        members: [{ courierId: id.ownCourier ?? "" }],
        customDomainTableIds: [id.customTable ?? ""],
      },
    }),
    "of its table",
  ],
  ["CourierGroupService/GetCourierGroup", one("group")],
  ["CourierGroupService/ListCourierGroups", (id) => ({ courierId: id.courier ?? "" })],
  [
    "CourierGroupService/UpdateCourierGroup",
    (id) => ({
      courierGroup: {
        id: id.group ?? "",
        name: "mine now",
        members: [{ courierId: id.courier ?? "" }],
        customDomainTableIds: [id.customTable ?? ""],
      },
      updateMask: "name,members,customDomainTableIds",
    }),
  ],
  ["CourierGroupService/DeleteCourierGroup", one("group")],
  ["CourierGroupService/RunCourierGroup", one("group")],
  ["CourierGroupService/PauseCourierGroup", one("group")],
  ["CourierGroupService/ResumeCourierGroup", one("group")],
  ["CourierGroupService/GetCourierGroupRun", one("groupRun")],
  ["CourierGroupService/ListCourierGroupRuns", (id) => ({ groupId: id.group ?? "" })],
  ["CourierGroupService/CancelCourierGroupRun", one("groupRun")],
  ["CustomDomainTableService/GetCustomDomainTable", one("customTable")],
  [
    "CustomDomainTableService/UpdateCustomDomainTable",
    (id) => ({
      customDomainTable: { id: id.customTable ?? "", query: "SELECT 2 AS id" },
      updateMask: "query",
    }),
  ],
  ["CustomDomainTableService/PublishCustomDomainTable", one("customTable")],
  ["CustomDomainTableService/DeleteCustomDomainTable", one("customTable")],
  ["DomainTableService/GetDomainTable", feed],
  ["DomainTableService/SampleRows", feed],
  ["DomainTableService/ListLoads", feed],
  ["DomainTableService/ListRejects", feed],
  [
    "DomainTableService/ListRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
    "of its workflow",
  ],
  [
    "DomainTableService/SummarizeRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/ExportRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/ReplayRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/UndoLoad",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/UndoLoad",
    (id) => ({ feedId: id.ownFeed ?? "", workflowId: id.workflow ?? "" }),
    "of its workflow",
  ],
  [
    "DomainTableService/PlanDeleteRows",
    (id) => ({
      feedId: id.feed ?? "",
      rule: { field: "id", equals: "1" },
    }),
  ],
  ["DomainTableService/DeleteRows", (id) => ({ feedId: id.feed ?? "", planToken: "e30" })],
  ["DomainTableService/TruncateDomainTable", feed],
  [
    "DomainTableService/PurgeDomainTable",
    (id) => ({ feedId: id.feed ?? "", confirmTable: "acme.orders" }),
  ],
  ["NotificationService/ListNotifications", (id) => ({ courierId: id.courier ?? "" })],
  [
    "NotificationService/ListNotifications",
    (id) => ({ workflowId: id.workflow ?? "" }),
    "of its workflow",
  ],
  ["NotificationService/AcknowledgeNotifications", (id) => ({ ids: [id.notification ?? ""] })],
  ["NotificationService/DeleteWebhook", one("webhook")],
  ["NotificationService/TestWebhook", one("webhook")],
  ["WorkflowService/GetWorkflow", one("workflow")],
  ["WorkflowService/ListWorkflows", (id) => ({ courierId: id.courier ?? "" })],
  ["WorkflowService/WatchWorkflow", one("workflow")],
  ["WorkflowService/ListWorkflowFiles", one("workflow")],
  ["WorkflowService/CancelWorkflow", one("workflow")],
  ["WorkflowService/ListActions", (id) => ({ workflowId: id.workflow ?? "" })],
  ["WorkflowService/GetAction", one("action")],
  [
    "WorkflowService/ResolveAction",
    (id) => ({ id: id.action ?? "", resolutionId: "1", replacementId: id.replacement ?? "" }),
  ],
  [
    "WorkflowService/ResolveAction",
    (id) => ({ id: id.action ?? "", resolutionId: "1", feeds: { feedIds: [id.feed ?? ""] } }),
    "without its feed",
  ],
  [
    "WorkflowService/ResolveAction",
    (id) => ({
      id: id.action ?? "",
      resolutionId: "1",
      courier: {
        courier: {
          ...courier(id.credential, id.feed, pgpFile(id.credential)),
          id: id.courier ?? "",
        },
        updateMask: "files",
      },
    }),
    "with a change of its courier",
  ],
  [
    "WorkflowService/ResolveAction",
    (id) => ({
      id: id.action ?? "",
      resolutionId: "1",
      credential: { credential: { id: id.credential ?? "", name: "x" }, updateMask: "name" },
    }),
    "with a change of its credential",
  ],
  ["WorkflowService/UploadReplacement", (id) => ({ header: { actionId: id.action ?? "" } })],
  ["WorkflowService/RetryTask", (id) => ({ taskId: id.task ?? "" })],
  ["WorkflowService/RestartWorkflow", one("workflow")],
];

/** Lists that are narrowed by an id answer with nothing; a missing id and another's look the same there too. */
const NARROWED = new Set([
  "CourierService/ListCouriers",
  "CourierGroupService/ListCourierGroups",
  "CourierGroupService/ListCourierGroupRuns",
  "DomainTableService/ListLoads",
  "NotificationService/ListNotifications",
  "WorkflowService/ListWorkflows",
]);

const [pglite] = DATABASES;
let database: TestDatabase;
let control: ControlUnderTest;
let inspect: InspectDouble;
/** What the tenant "default" has, and ids of the same form that nobody has. */
let theirs: Ids;
let nobodys: Ids;
let stranger: Transport;

const methods = new Map(
  SERVICES.flatMap((service) => service.methods).map((method) => [
    `${method.parent.name}/${method.name}`,
    method,
  ]),
);

beforeAll(async () => {
  if (pglite === undefined) throw new Error("there is no database to test on");
  database = await pglite.create();
  inspect = await startInspectDouble();
  control = await startControlUnderTest(database, {
    SLUICE_TENANTS: "default,other",
    SLUICE_ALLOWED_WEBHOOK_HOSTS: "127.0.0.1",
  });
  await control.announce(inspect.url);
  const otherKey = readKeyFile(`${database.dataDir}/control/other.admin.key`) ?? "";
  stranger = control.transportOf(`Bearer ${otherKey}`);
  const made = await furnish(control.transport, "acme");
  const own = await furnish(stranger, "umbrella");
  const spec = { ...SPEC, errorThresholdPercent: 5 };
  const changed = { feed: { id: own.feed ?? "", spec }, updateMask: "spec" };
  await ask(stranger, "FeedService/UpdateFeed", changed);
  const mine = {
    own: own.credential ?? "",
    ownFeed: own.feed ?? "",
    ownCourier: own.courier ?? "",
  };
  const unknown = (id: string): string =>
    `${id.slice(0, id.indexOf("_") + 1)}${randomBytes(15).toString("base64url")}`;
  theirs = { ...made, ...mine };
  nobodys = {
    ...Object.fromEntries(Object.entries(made).map(([kind, id]) => [kind, unknown(id)])),
    ...mine,
  };
}, 120_000);
afterAll(async () => {
  await control?.close();
  await inspect?.close();
  await database?.remove();
});

/** Makes one of everything for a tenant, and gives the ids: a courier has run, and failed. */
async function furnish(transport: Transport, source: string): Promise<Record<string, string>> {
  const call = async (method: string, body: JsonObject): Promise<JsonObject> => {
    const { json, error } = await ask(transport, method, body);
    if (json === undefined) throw new Error(`${method}: ${error}`);
    return json;
  };
  const idOf = (answer: JsonObject, name: string): string => {
    const resource = answer[name];
    const id = typeof resource === "object" && resource ? Reflect.get(resource, "id") : undefined;
    if (typeof id !== "string") throw new Error(`no id of ${name} in ${JSON.stringify(answer)}`);
    return id;
  };
  const credential = idOf(
    await call("CredentialService/CreateCredential", {
      credential: { name: "a credential", iamRoleToRole: role },
    }),
    "credential",
  );
  const feedId = idOf(
    await call("FeedService/CreateFeed", { feed: { source, name: "orders", spec: SPEC } }),
    "feed",
  );
  await call("FeedService/ActivateFeed", { id: feedId });
  const courierId = idOf(
    await call("CourierService/CreateCourier", { courier: courier(credential, feedId) }),
    "courier",
  );
  const { workflowId } = await call("CourierService/RunCourier", {
    id: courierId,
    date: "2026-11-20",
  });
  const workflow = String(workflowId);
  const worker = createClient(TaskService, control.transportOf(`Worker ${WORKER_KEY}`));
  const { leases } = await worker.claimTasks({ workerId: "w", capacity: 1 });
  const [lease] = leases;
  if (lease === undefined) throw new Error("there is no task");
  const { taskId, attempt } = lease;
  await worker.failTask({
    taskId,
    attempt,
    failure: { stage: Stage.CONNECT, code: "bucket_not_found", message: "no such bucket" },
  });
  const group = idOf(
    await call("CourierGroupService/CreateCourierGroup", {
      courierGroup: { name: "a group", members: [{ courierId }] },
    }),
    "courierGroup",
  );
  const groupRun = idOf(
    await call("CourierGroupService/RunCourierGroup", { id: group, date: "2026-11-20" }),
    "groupRun",
  );
  const { actions } = await createClient(WorkflowService, transport).listActions({});
  const { notifications } = await createClient(NotificationService, transport).listNotifications(
    {},
  );
  const { apiKeys } = await createClient(AccessService, transport).listApiKeys({});
  const sources = (await call("SourceService/ListSources", {})).sources as { id: string }[];
  return {
    credential,
    feed: feedId,
    courier: courierId,
    workflow,
    task: taskId,
    group,
    groupRun,
    action: actions[0]?.id ?? "",
    notification: notifications[0]?.id ?? "",
    key: apiKeys[0]?.id ?? "",
    source: sources[0]?.id ?? "",
    replacement: `rep_${randomBytes(15).toString("base64url")}`,
    webhook: idOf(
      await call("NotificationService/CreateWebhook", {
        webhook: {
          url: "http://127.0.0.1:9/",
          secret: `whsec_${randomBytes(32).toString("base64")}`,
        },
      }),
      "webhook",
    ),
    customTable: idOf(
      await call("CustomDomainTableService/CreateCustomDomainTable", {
        customDomainTable: { source, name: "own", query: "SELECT 1 AS id" },
      }),
      "customDomainTable",
    ),
  };
}

interface Answer {
  readonly json: JsonObject | undefined;
  /** Code and message. */
  readonly error: string;
}

async function ask(transport: Transport, name: string, body: JsonObject): Promise<Answer> {
  const method = methods.get(name);
  if (method === undefined) throw new Error(`there is no method ${name}`);
  const stop = AbortSignal.timeout(20_000);
  const request = fromJson(method.input, body);
  try {
    let answer: Message | undefined;
    if (isUnary(method)) {
      answer = (await transport.unary(method, stop, undefined, undefined, request)).message;
    } else if (isStreaming(method)) {
      const requests = (async function* () {
        yield request;
      })();
      const { message } = await transport.stream(method, stop, undefined, undefined, requests);
      for await (const item of message) {
        answer = item;
        break;
      }
    }
    const json = answer === undefined ? {} : toJson(method.output, answer);
    return { json: json as JsonObject, error: "" };
  } catch (error) {
    const { message, details } = ConnectError.from(error);
    const told = details.map((detail) => ("debug" in detail ? JSON.stringify(detail.debug) : ""));
    return { json: undefined, error: [message, ...told].join(" ") };
  }
}
const isUnary = (method: DescMethod): method is DescMethodUnary => method.methodKind === "unary";
const isStreaming = (method: DescMethod): method is DescMethodStreaming => !isUnary(method);

/** An answer without the ids that were asked for. */
function withoutIds(answer: Answer, ids: Ids): string {
  return Object.entries(ids)
    .filter(([, id]) => id !== "")
    .reduce((text, [kind, id]) => text.replaceAll(id, `<${kind}>`), JSON.stringify(answer));
}

describe("another tenant's ids are as good as none", () => {
  test.each(ROWS.map(([method, body, name = "itself"]) => [method, name, body] as const))(
    "%s, %s",
    async (method, name, body) => {
      const before = await everything();
      const asked = await ask(stranger, method, body(theirs));
      const missing = await ask(stranger, method, body(nobodys));
      expect(withoutIds(asked, theirs)).toBe(withoutIds(missing, nobodys));
      if (NARROWED.has(method)) {
        expect(Object.values(asked.json ?? { nothing: [1] }).flat()).toEqual(
          method.endsWith("ListNotifications") ? [expect.any(String)] : [],
        );
      } else if (method === "FeedService/CompareFeedVersions" && name === "by its courier") {
        expect(asked.error).toContain("this courier has not loaded the feed yet");
      } else {
        expect(asked.error).toMatch(/not_found|invalid_argument/);
      }
      expect(await everything()).toBe(before);
    },
  );
});

/** All that the first tenant has, as its own admin sees it, the times of use apart. */
async function everything(): Promise<string> {
  const lists = [
    "CredentialService/ListCredentials",
    "SourceService/ListSources",
    "FeedService/ListFeeds",
    "CourierService/ListCouriers",
    "CourierGroupService/ListCourierGroups",
    "WorkflowService/ListWorkflows",
    "WorkflowService/ListActions",
    "NotificationService/ListNotifications",
    "NotificationService/ListWebhooks",
    "CustomDomainTableService/ListCustomDomainTables",
    "AccessService/ListAuditEvents",
  ];
  const answers = await Promise.all(lists.map((list) => ask(control.transport, list, {})));
  return JSON.stringify(answers);
}

/** What the service fills in, and names of other things than resources of ours. */
const NO_IDS = /(^|\.)(request_id|resolution_id|external_id|access_key_id|key_ids|version_id)$/;

/** Every field of a request that names a resource, by its path. */
function idPaths(desc: DescMessage, depth = 0): string[] {
  return desc.fields.flatMap((field: DescField) => {
    if (field.message !== undefined && depth < 5) {
      return idPaths(field.message, depth + 1).map((path) => `${field.name}.${path}`);
    }
    return /(^|_)ids?$/.test(field.name) ? [field.name] : [];
  });
}

/** The same of what a request of the table sets. */
function setPaths(desc: DescMessage, body: JsonObject): string[] {
  return Object.entries(body).flatMap(([key, value]) => {
    const field = desc.fields.find(({ jsonName }) => jsonName === key);
    if (field === undefined || typeof value !== "object" || value === null) {
      return field === undefined ? [] : [field.name];
    }
    const { message } = field;
    const items = (Array.isArray(value) ? value : [value]) as JsonObject[];
    if (message === undefined) return [field.name];
    return items.flatMap((item) => setPaths(message, item).map((path) => `${field.name}.${path}`));
  });
}

test("the table names every field of every method that takes an id", () => {
  const kinds = Object.fromEntries(Object.keys(theirs).map((kind) => [kind, kind]));
  const missing = [...methods].flatMap(([name, method]) => {
    const set = new Set(
      ROWS.filter(([row]) => row === name).flatMap(([, body]) =>
        setPaths(method.input, body(kinds)),
      ),
    );
    return (
      idPaths(method.input)
        .filter((path) => !NO_IDS.test(path))
        // A resource that is to be made has no id yet: what stands there is not read.
        .filter((path) => !(/\/Create/.test(name) && /^[a-z_]+\.id$/.test(path)))
        .filter((path) => !set.has(path))
        .map((path) => `${name} ${path}`)
    );
  });
  expect(missing).toEqual([]);
});

test("a database of ClickHouse that is another tenant's can't be loaded into", async () => {
  for (const [method, body] of [
    ["SourceService/CreateSource", { source: { name: "ACME" } }],
    ["FeedService/CreateFeed", { feed: { source: "acme", name: "mine", spec: SPEC } }],
  ] as const) {
    expect((await ask(stranger, method, body)).error).toContain("already_exists");
  }
});

test("workers get the tasks of every tenant, each with what is its tenant's own", async () => {
  const worker = createClient(TaskService, control.transportOf(`Worker ${WORKER_KEY}`));
  const sessions: string[] = [];
  for (const [transport, id] of [
    [control.transport, theirs.courier ?? ""],
    [stranger, theirs.ownCourier ?? ""],
  ] as const) {
    await ask(transport, "CourierService/RunCourier", { id, date: "2026-11-21" });
  }
  const { leases } = await worker.claimTasks({ workerId: "w", capacity: 20 });
  for (const { taskId, attempt, work } of leases) {
    if (work.case === "list") {
      const access = work.value.connection?.access;
      if (access?.case === "role") sessions.push(access.value.sessionName);
    }
    await worker.heartbeat({ taskId, attempt });
  }
  expect(new Set(sessions)).toEqual(new Set(["sluice-default", "sluice-other"]));
});
