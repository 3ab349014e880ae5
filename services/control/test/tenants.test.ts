import { randomBytes } from "node:crypto";
import type { DescField, DescMessage, JsonObject } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyFile } from "../src/access/key-file.ts";
import { type Answer, ask, METHODS } from "./testing/ask.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { FOREIGN_REQUESTS, type Ids, SPEC } from "./testing/foreign-requests.ts";
import { furnish } from "./testing/furnish.ts";
import { type InspectDouble, startInspectDouble, WORKER_KEY } from "./testing/inspect-double.ts";

/** Attack R3: one tenant names what is another's, in every field of every method that takes an id. */

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
let worker: Client<typeof TaskService>;

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
  worker = createClient(TaskService, control.transportOf(`Worker ${WORKER_KEY}`));
  const made = await furnish(control.transport, worker, "acme");
  const own = await furnish(stranger, worker, "umbrella");
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

/** An answer without the ids that were asked for. */
function withoutIds(answer: Answer, ids: Ids): string {
  return Object.entries(ids)
    .filter(([, id]) => id !== "")
    .reduce((text, [kind, id]) => text.replaceAll(id, `<${kind}>`), JSON.stringify(answer));
}

describe("another tenant's ids are as good as none", () => {
  test.each(
    FOREIGN_REQUESTS.map(([method, body, name = "itself"]) => [method, name, body] as const),
  )("%s, %s", async (method, name, body) => {
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
  });
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
  const missing = [...METHODS].flatMap(([name, method]) => {
    const set = new Set(
      FOREIGN_REQUESTS.filter(([row]) => row === name).flatMap(([, body]) =>
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

test("a role that two tenants name is told the operator, and neither of them (rule 5 of customers' roles)", async () => {
  const lines = control.logged().split("\n");
  const told = lines.filter((line) => line.includes("another tenant has a credential"));
  expect(told.length).toBeGreaterThan(0);
  expect(JSON.parse(told[0] ?? "{}")).toMatchObject({
    level: 40,
    tenant: "other",
    others: [{ tenant: "default" }],
  });
  const { json } = await ask(stranger, "CredentialService/ListCredentials", {});
  expect(JSON.stringify(json)).not.toContain("default");
});
