import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  Notification_Kind as Kind,
  type Notification,
} from "@sluice/api/control/v1/notification_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { Webhook as Verifier } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { INTEGER, type Story, startStory } from "./story.ts";

/** What somebody should know of: shown, watched over breaks, acknowledged, and posted elsewhere. */

const SECRET = `whsec_${Buffer.from("a secret of at least 24 bytes").toString("base64")}`;

/** What a receiver got, and how it answers: a real server that says what a test tells it to. */
interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly taken: {
    readonly path: string;
    readonly headers: Record<string, string>;
    readonly body: string;
  }[];
  /** Undefined: it says nothing at all. */
  answer: (path: string) => { status: number; location?: string } | undefined;
}

async function startReceiver(): Promise<Receiver> {
  const taken: Receiver["taken"] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      const path = request.url ?? "";
      taken.push({ path, headers, body: Buffer.concat(chunks).toString("utf8") });
      const answer = receiver.answer(path);
      if (answer === undefined) return;
      const { status, location } = answer;
      response.writeHead(status, location === undefined ? {} : { location }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    answer: () => ({ status: 204 }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return receiver;
}

let story: Story;
let receiver: Receiver;
let notifications: Client<typeof NotificationService>;
beforeAll(async () => {
  receiver = await startReceiver();
  story = await startStory({
    controlEnvironment: {
      SLUICE_ALLOWED_WEBHOOK_HOSTS: "127.0.0.1",
      SLUICE_WEBHOOK_RETRY_MS: "100",
    },
  });
  notifications = createClient(NotificationService, story.transport);
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});
beforeEach(async () => {
  const { webhooks } = await notifications.listWebhooks({});
  for (const { id } of webhooks) await notifications.deleteWebhook({ id });
  receiver.taken.length = 0;
  receiver.answer = () => ({ status: 204 });
});

let made = 0;
async function courier(content: string | undefined): Promise<string> {
  const name = `notes_${++made}`;
  if (content !== undefined) await story.customer.put(`${name}.csv`, content);
  const feedId = await story.feed("desk", name, {
    fields: [{ incomingName: "id", type: INTEGER, require: true }],
    primaryKey: ["id"],
  });
  return await story.courier({ feedId, key: `${name}.csv` });
}

async function watch(
  afterEvent: bigint,
  count: number,
): Promise<{ event: bigint; notification: Notification }[]> {
  const seen: { event: bigint; notification: Notification }[] = [];
  for await (const { event, notification } of notifications.watchNotifications({ afterEvent })) {
    if (notification !== undefined) seen.push({ event, notification });
    if (seen.length === count) break;
  }
  return seen;
}

describe("a notification", () => {
  it("tells what prevented a workflow, links it, and names its courier and source (WF-1, WF-3, WF-4)", async () => {
    const courierId = await courier("id\n1\nnot a number\n");
    const failed = await story.run(courierId);
    expect(failed.state).toBe(Workflow_State.FAILED);
    const { notifications: told } = await notifications.listNotifications({ courierId });
    expect(told).toMatchObject([
      {
        kind: Kind.WORKFLOW_FAILED,
        workflowId: failed.id,
        courierId,
        courierName: failed.courierName,
        sources: ["desk"],
        failure: { stage: failed.failure?.stage, code: failed.failure?.code },
      },
    ]);
    const [note] = told;
    expect(note?.message).toContain(failed.failure?.message ?? "nothing");
    expect(note?.failure?.advice).not.toBe("");
    // View Workflow.
    const { workflow } = await story.workflows.getWorkflow({ id: note?.workflowId ?? "" });
    expect(workflow?.failure?.code).toBe(note?.failure?.code);
  });

  it("is made of a workflow stopped by hand, and of success when the settings say so (WF-1)", async () => {
    const courierId = await courier("id\n1\n2\n");
    expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);
    expect((await notifications.listNotifications({ courierId })).notifications).toEqual([]);
    await notifications.updateNotificationSettings({ settings: { workflowSucceeded: true } });
    await story.customer.put(`notes_${made}.csv`, "id\n1\n2\n3\n");
    await story.run(courierId);
    await notifications.updateNotificationSettings({ settings: { workflowSucceeded: false } });
    const { workflowId } = await story.couriers.runCourier({
      id: courierId,
      scope: { case: "date", value: "2026-11-20" },
    });
    await story.workflows.cancelWorkflow({ id: workflowId });
    for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
    const { notifications: told } = await notifications.listNotifications({ courierId });
    expect(told.map(({ kind }) => kind)).toEqual([Kind.STOPPED, Kind.WORKFLOW_SUCCEEDED]);
    expect(told[1]?.message).toContain("loaded 3 rows");
  });

  it("reaches watchers once each, over a restart of control, and when it is acknowledged (WF-1)", async () => {
    const courierId = await courier(undefined);
    const { lastEvent } = await notifications.listNotifications({});
    const first = story.run(courierId);
    const [one] = await watch(lastEvent, 1);
    await first;
    expect(one?.notification.failure?.code).toBe("file_not_found");
    await story.local.control.kill();
    await story.local.startControl();
    const second = await story.run(courierId);
    const [two] = await watch(one?.event ?? 0n, 1);
    expect(two?.notification.workflowId).toBe(second.id);
    expect(two?.event).toBe((one?.event ?? 0n) + 1n);

    const ids = [one?.notification.id ?? ""];
    const acknowledged = await notifications.acknowledgeNotifications({ ids });
    expect(acknowledged.notifications[0]?.acknowledgeTime).toBeDefined();
    const [known] = await watch(two?.event ?? 0n, 1);
    expect(known?.notification).toEqual(acknowledged.notifications[0]);
    const left = await notifications.listNotifications({ courierId, unacknowledgedOnly: true });
    expect(left.notifications.map(({ workflowId }) => workflowId)).toEqual([second.id]);
    const unknown = notifications.acknowledgeNotifications({ ids: [...ids, "note_none"] });
    await expect(unknown).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe("a webhook", () => {
  const add = async (path = "/hook", kinds: Kind[] = []): Promise<string> => {
    const webhook = { url: `${receiver.url}${path}`, secret: SECRET, kinds };
    return (await notifications.createWebhook({ webhook })).webhook?.id ?? "";
  };

  it("gets every notification it wants, signed so that the published library verifies it (WF-1, WF-4)", async () => {
    await add("/all");
    await add("/successes", [Kind.WORKFLOW_SUCCEEDED]);
    const courierId = await courier(undefined);
    const failed = await story.run(courierId);
    await expect.poll(() => receiver.taken.length, { timeout: 30_000 }).toBe(1);
    const [{ path, headers, body }] = receiver.taken as [Receiver["taken"][number]];
    expect(path).toBe("/all");
    expect(new Verifier(SECRET).verify(body, headers)).toMatchObject({
      type: "workflow_failed",
      data: { workflowId: failed.id, courierId, failure: { code: "file_not_found" } },
    });
    const other = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
    expect(() => new Verifier(other).verify(body, headers)).toThrow();
    expect(() => new Verifier(SECRET).verify(`${body} `, headers)).toThrow();
  });

  it("is tried again until it takes a delivery, over a restart of control, under the same id (WF-1)", async () => {
    const id = await add();
    receiver.answer = () => ({ status: 503 });
    const failed = await story.run(await courier(undefined));
    await expect.poll(() => receiver.taken.length, { timeout: 30_000 }).toBeGreaterThan(1);
    const { webhooks } = await notifications.listWebhooks({});
    expect(webhooks).toMatchObject([{ id, waitingDeliveries: 1n }]);
    expect(webhooks[0]?.lastError).toContain("503");
    await story.local.control.kill();
    receiver.answer = () => ({ status: 200 });
    const before = receiver.taken.length;
    await story.local.startControl();
    await expect.poll(() => receiver.taken.length, { timeout: 120_000 }).toBeGreaterThan(before);
    const waiting = async (): Promise<bigint | undefined> =>
      (await notifications.listWebhooks({})).webhooks[0]?.waitingDeliveries;
    await expect.poll(waiting, { timeout: 30_000 }).toBe(0n);
    const ids = new Set(receiver.taken.map(({ headers }) => headers["webhook-id"]));
    expect(ids.size).toBe(1);
    for (const { body, headers } of receiver.taken) {
      expect(new Verifier(SECRET).verify(body, headers)).toMatchObject({
        data: { workflowId: failed.id },
      });
    }
  });

  it("that never answers holds no other one up (WF-1)", async () => {
    const silent = await add("/silent");
    await add("/prompt");
    receiver.answer = (path) => (path === "/silent" ? undefined : { status: 200 });
    const couriers = [await courier(undefined), await courier(undefined)];
    const runs = await Promise.all(couriers.map((id) => story.run(id)));
    const told = (): Set<string> =>
      new Set(
        receiver.taken
          .filter(({ path }) => path === "/prompt")
          .map(
            ({ body }) => (JSON.parse(body) as { data: { workflowId: string } }).data.workflowId,
          ),
      );
    await expect.poll(told, { timeout: 30_000 }).toEqual(new Set(runs.map(({ id }) => id)));
    const { webhooks } = await notifications.listWebhooks({});
    const waiting = webhooks.find(({ id }) => id === silent);
    // Its first try has not even ended.
    expect(waiting).toMatchObject({ waitingDeliveries: 2n, lastError: "" });
  });

  it("is not followed to where it points, and tells how a test went (WF-1)", async () => {
    const id = await add("/moved");
    receiver.answer = (path) =>
      path === "/moved" ? { status: 307, location: `${receiver.url}/secret` } : { status: 200 };
    expect(await notifications.testWebhook({ id })).toMatchObject({
      delivered: false,
      statusCode: 307,
    });
    expect(receiver.taken.map(({ path }) => path)).toEqual(["/moved"]);
    receiver.answer = () => ({ status: 200 });
    expect(await notifications.testWebhook({ id })).toMatchObject({ delivered: true, error: "" });
    expect(JSON.parse(receiver.taken.at(-1)?.body ?? "")).toMatchObject({ type: "test" });
  });

  it("may not name a place inside, keeps its secret, and is made once for a request id (WF-1)", async () => {
    const refused = async (webhook: { url: string; secret: string }): Promise<string> => {
      const error = await notifications.createWebhook({ webhook }).catch(ConnectError.from);
      if (!(error instanceof ConnectError)) return "made";
      return `${Code[error.code]} ${error.rawMessage}`;
    };
    for (const url of ["https://169.254.169.254/", "https://[::1]/", "http://hooks.example.com/"]) {
      expect(await refused({ url, secret: SECRET })).toMatch(/^InvalidArgument webhook\.url/);
    }
    expect(await refused({ url: `${receiver.url}/`, secret: "whsec_c2hvcnQ=" })).toMatch(
      /^InvalidArgument webhook\.secret/,
    );
    const request = { webhook: { url: `${receiver.url}/`, secret: SECRET }, requestId: "hook" };
    const { webhook } = await notifications.createWebhook(request);
    const again = await notifications.createWebhook(request);
    expect(again.webhook?.id).toBe(webhook?.id);
    expect(webhook?.secret).toBe("");
    expect((await notifications.listWebhooks({})).webhooks).toMatchObject([{ secret: "" }]);
    // A name that stands for a place inside is refused when it is posted to.
    const { webhook: inside } = await notifications.createWebhook({
      webhook: { url: "https://localhost/", secret: SECRET },
    });
    const test = await notifications.testWebhook({ id: inside?.id ?? "" });
    expect(test.delivered).toBe(false);
    expect(test.error).toContain("not an address of the public internet");
  });
});
