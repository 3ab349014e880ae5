import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Notification_Kind as Kind } from "@sluice/api/control/v1/notification_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { createNotifications, type Notifications } from "../src/notifications/notifications.ts";
import { notify } from "../src/notifications/notify.ts";
import { createSecretBox } from "../src/secrets/secret-box.ts";
import { hasPostgres, makeStatePlace, type StatePlace } from "./workflow-house.ts";

const SECRET = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;

let server: Server;
let url: string;
/** The ids of deliveries as they came. */
let taken: string[] = [];
let status = 200;
beforeAll(async () => {
  server = createServer((request, response) => {
    taken.push(String(request.headers["webhook-id"]));
    response.writeHead(status).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`the outbox on ${kind}`, { timeout: 60_000 }, () => {
    let place: StatePlace;
    let database: Database;
    beforeAll(async () => {
      place = await makeStatePlace(kind);
      database = await openDatabase(place.options);
    }, 60_000);
    afterAll(async () => {
      await database.close();
      await place[Symbol.asyncDispose]();
    });

    function replica(tenant: string, masterKey = 7): Notifications {
      return createNotifications({
        kysely: database.kysely,
        tenant: () => tenant,
        tenants: () => [tenant],
        secrets: createSecretBox(Buffer.alloc(32, masterKey)),
        log: pino({ level: "silent" }),
        allowedWebhookHosts: new Set(["127.0.0.1"]),
        webhookRetryMs: 20,
        pollMs: 50,
        shutdown: new AbortController().signal,
      });
    }

    const client = ({ service }: Notifications) =>
      createClient(
        NotificationService,
        createRouterTransport((router) => router.service(NotificationService, service)),
      );

    const happen = (tenant: string, message: string): Promise<void> =>
      database.kysely
        .transaction()
        .execute((trx) => notify(trx, tenant, { kind: Kind.WORKFLOW_FAILED, message }));

    test("is posted once by several replicas, and again under its id until it is taken", async () => {
      taken = [];
      status = 500;
      const tenant = `tenant-${randomUUID()}`;
      const replicas = [replica(tenant), replica(tenant), replica(tenant)] as const;
      const api = client(replicas[0]);
      await api.createWebhook({ webhook: { url, secret: SECRET } });
      await api.createWebhook({ webhook: { url, secret: SECRET, kinds: [Kind.MISSING_FILE] } });
      for (let made = 0; made < 5; made++) await happen(tenant, `failure ${made}`);
      for (const each of replicas) each.start();
      await expect.poll(() => taken.length, { timeout: 20_000 }).toBeGreaterThan(6);
      status = 200;
      const waiting = async (): Promise<bigint[]> =>
        (await api.listWebhooks({})).webhooks.map((webhook) => webhook.waitingDeliveries);
      await expect.poll(waiting, { timeout: 20_000 }).toEqual([0n, 0n]);
      expect(new Set(taken).size).toBe(5);
      taken = [];
      await Promise.all([1, 2, 3, 4].map((made) => happen(tenant, `later ${made}`)));
      replicas[1].ring();
      await expect.poll(waiting, { timeout: 20_000 }).toEqual([0n, 0n]);
      for (const each of replicas) await each.stop();
      expect(taken).toHaveLength(4);
      expect(new Set(taken).size).toBe(4);
    });

    test("goes with what happened: a transaction that fails posts nothing and tells nobody", async () => {
      const tenant = `tenant-${randomUUID()}`;
      const api = client(replica(tenant));
      await api.createWebhook({ webhook: { url, secret: SECRET } });
      const failing = database.kysely.transaction().execute(async (trx) => {
        await notify(trx, tenant, { kind: Kind.STOPPED, message: "never happened" });
        throw new Error("rolled back");
      });
      await expect(failing).rejects.toThrow("rolled back");
      await happen(tenant, "happened");
      const { notifications, lastEvent } = await api.listNotifications({});
      expect(notifications).toMatchObject([{ message: "happened", event: 1n }]);
      expect(lastEvent).toBe(1n);
      expect((await api.listWebhooks({})).webhooks).toMatchObject([{ waitingDeliveries: 1n }]);
    });

    test("keeps a webhook's secret sealed", async () => {
      const tenant = `tenant-${randomUUID()}`;
      const { webhook } = await client(replica(tenant)).createWebhook({
        webhook: { url, secret: SECRET },
      });
      const row = await database.kysely
        .selectFrom("webhook")
        .selectAll()
        .where("tenant", "=", tenant)
        .executeTakeFirstOrThrow();
      expect(Buffer.from(row.sealed).includes(Buffer.alloc(32, 3))).toBe(false);
      // Another master key does not open it.
      await expect(
        client(replica(tenant, 8)).testWebhook({ id: webhook?.id ?? "" }),
      ).rejects.toThrow();
    });
  });
}
