import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescMethod } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Role } from "@sluice/api/control/v1/access_pb";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { SERVICES } from "@sluice/api/control/v1/catalog";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import {
  ResolveActionRequestSchema,
  WorkflowService,
} from "@sluice/api/control/v1/workflow_service_pb";
import { Health } from "@sluice/api/grpc/health/v1/health_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { Kysely, PostgresDialect } from "kysely";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeApiKey } from "../src/access/api-key.ts";
import { authorize } from "../src/access/authorize.ts";
import { notValid } from "../src/access/caller.ts";
import { accessOf } from "../src/access/method-access.ts";
import { createRateLimit } from "../src/access/rate-limit.ts";
import type { Schema } from "../src/database/schema.ts";
import { codeOf } from "./testing/code-of.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import {
  createIdentityProvider,
  type IdentityProvider,
  unsigned,
} from "./testing/identity-provider.ts";
import { WORKER_KEY } from "./testing/inspect-double.ts";

/** Who gets in, to what: attack R5 of the table of attacks, over every method. */

const folder = mkdtempSync(join(tmpdir(), "sluice-access-"));
const [pglite] = DATABASES;
let database: TestDatabase;
let control: ControlUnderTest;
let provider: IdentityProvider;
let access: Client<typeof AccessService>;
/** `authorization` of each kind of caller, made in beforeAll. */
const callers: Record<string, string | undefined> = {};

beforeAll(async () => {
  if (pglite === undefined) throw new Error("there is no database to test on");
  database = await pglite.create();
  provider = await createIdentityProvider(join(folder, "jwks.json"));
  control = await startControlUnderTest(database, {
    ...provider.environment,
    SLUICE_TENANTS: "default,other",
    SLUICE_RATE_PER_SECOND: "100000",
    SLUICE_RATE_BURST: "100000",
  });
  access = control.client(AccessService);
  const key = async (role: Role, name: string, expireMs?: number): Promise<[string, string]> => {
    const expireTime = expireMs === undefined ? {} : { expireTime: timestampFromMs(expireMs) };
    const { secret, apiKey } = await access.createApiKey({ name, role, ...expireTime });
    return [`Bearer ${secret}`, apiKey?.id ?? ""];
  };
  const [revoked, revokedId] = await key(Role.ADMIN, "revoked");
  await access.revokeApiKey({ id: revokedId });
  [callers.viewer] = await key(Role.VIEWER, "viewer");
  [callers.operator] = await key(Role.OPERATOR, "operator");
  const soon = Date.now() + 400;
  [callers["expired key"]] = await key(Role.ADMIN, "expired", soon);
  await new Promise((resolve) => setTimeout(resolve, soon - Date.now() + 5));
  const token = async (...changes: Parameters<IdentityProvider["token"]>): Promise<string> =>
    `Bearer ${await provider.token(...changes)}`;
  const admin = control.adminKey;
  const rsaAsSecret = Buffer.from(provider.publicPem);
  Object.assign(callers, {
    nothing: undefined,
    "an empty header": " ",
    "another scheme": `Basic ${Buffer.from(`admin:${admin}`).toString("base64")}`,
    "no key": "Bearer letmein",
    "a key without its secret": `Bearer ${admin.slice(0, 16)}`,
    "a wrong secret": `Bearer ${admin.slice(0, -4)}AAAA`,
    "a key of nobody": `Bearer ${makeApiKey()}`,
    "a key of another service's form": `Bearer ${randomBytes(32).toString("hex")}`,
    "revoked key": revoked,
    "worker key": `Worker ${WORKER_KEY}`,
    "worker key as API key": `Bearer ${WORKER_KEY}`,
    "expired token": await token({ expiresIn: -30 }),
    "a token without an end": await token({ expiresIn: null }),
    "a token of the wrong audience": await token({ audience: "another-service" }),
    "a token of the wrong issuer": await token({ issuer: "https://evil.example" }),
    "a token with alg none": `Bearer ${unsigned(await provider.token())}`,
    "a token signed by the public key as a secret": await token({
      algorithm: "HS256",
      key: rsaAsSecret,
    }),
    "a token by an algorithm that is not allowed": await token({ algorithm: "PS256" }),
    "a token of another key": `Bearer ${(await provider.token()).slice(0, -8)}AAAAAAAA`,
  });
}, 120_000);
afterAll(async () => {
  await control?.close();
  await database?.remove();
  rmSync(folder, { recursive: true });
});

const METHODS = SERVICES.flatMap((service) => service.methods);
const nameOf = (method: DescMethod): string => `${method.parent.name}/${method.name}`;

describe("without a credential that holds, every method is refused", () => {
  test.each([
    "nothing",
    "an empty header",
    "another scheme",
    "no key",
    "a key without its secret",
    "a wrong secret",
    "a key of nobody",
    "a key of another service's form",
    "revoked key",
    "expired key",
    "worker key",
    "worker key as API key",
    "expired token",
    "a token without an end",
    "a token of the wrong audience",
    "a token of the wrong issuer",
    "a token with alg none",
    "a token signed by the public key as a secret",
    "a token by an algorithm that is not allowed",
    "a token of another key",
  ])("with %s", async (name) => {
    const transport = control.transportOf(callers[name]);
    const opened: string[] = [];
    for (const method of METHODS) {
      const code = await codeOf(transport, method);
      if (code !== Code.Unauthenticated) opened.push(`${nameOf(method)}: ${code}`);
    }
    expect(opened).toEqual([]);
  });

  test("also by GET, in JSON and by gRPC-Web, and the answer says no more than that", async () => {
    const url = `${control.url}/sluice.control.v1.FeedService/GetFeed`;
    const query = new URLSearchParams({ connect: "v1", encoding: "json", message: '{"id":"x"}' });
    const headers = { "content-type": "application/json" };
    for (const answer of [
      await fetch(`${url}?${query}`),
      await fetch(url, { method: "POST", headers, body: '{"id":"x"}' }),
    ]) {
      expect(answer.status).toBe(401);
      expect(await answer.json()).toEqual({
        code: "unauthenticated",
        message: 'a credential is needed: send "authorization: Bearer <API key>"',
      });
    }
  });
});

describe("with a role that is too small, every method is refused", () => {
  const ROLES = ["viewer", "operator", "admin"] as const;
  test.each([["viewer"], ["operator"]] as const)("by the role %s", async (role) => {
    const token = `Bearer ${await provider.token({ claims: { sluice_role: role } })}`;
    for (const authorization of [callers[role], token]) {
      const transport = control.transportOf(authorization);
      const wrong: string[] = [];
      for (const method of METHODS) {
        const least = ["viewer", "operator", "admin"].indexOf(accessOf(method) ?? "");
        const code = await codeOf(transport, method);
        const isRefused = code === Code.PermissionDenied;
        if (isRefused !== least > ROLES.indexOf(role)) wrong.push(`${nameOf(method)}: ${code}`);
      }
      expect(wrong).toEqual([]);
    }
  });

  test("an operator can't bring a new credential by resolving an action", async () => {
    const request = create(ResolveActionRequestSchema, {
      id: "act_x",
      resolutionId: "1",
      input: { case: "credential", value: { credential: { id: "cred_x" } } },
    });
    const method = WorkflowService.method.resolveAction;
    const asOperator = control.transportOf(callers.operator);
    expect(await codeOf(asOperator, method, request)).toBe(Code.PermissionDenied);
    expect(await codeOf(control.transport, method, request)).toBe(Code.NotFound);
  });

  test("a token without a role, or of no tenant of ours, opens nothing", async () => {
    for (const claims of [
      { sluice_role: "root" },
      { sluice_role: ["somebody"] },
      { tenant: "nobody" },
    ]) {
      const transport = control.transportOf(`Bearer ${await provider.token({ claims })}`);
      const code = await codeOf(transport, SourceService.method.listPlugins);
      expect(code).toBe(Code.PermissionDenied);
    }
  });
});

describe("what opens what", () => {
  test("a token gets in with the highest of its roles", async () => {
    const token = await provider.token({ claims: { sluice_role: ["viewer", "admin", "x"] } });
    const client = createClient(AccessService, control.transportOf(`Bearer ${token}`));
    expect((await client.listApiKeys({})).apiKeys.length).toBeGreaterThan(0);
  });

  test("tasks are for workers alone, and workers get tasks alone", async () => {
    for (const authorization of [undefined, `Bearer ${control.adminKey}`, "Worker nonsense"]) {
      for (const method of TaskService.methods) {
        const code = await codeOf(control.transportOf(authorization), method);
        expect(code).toBe(Code.Unauthenticated);
      }
    }
    const worker = createClient(TaskService, control.transportOf(`Worker ${WORKER_KEY}`));
    expect((await worker.claimTasks({ workerId: "w", capacity: 1 })).leases).toEqual([]);
  });

  test("health answers strangers with a status alone", async () => {
    const stranger = createClient(Health, control.transportOf(undefined));
    expect(await stranger.check({})).toEqual({
      $typeName: "grpc.health.v1.HealthCheckResponse",
      status: 1,
    });
  });

  test("a header that looks like a tenant changes nothing", async () => {
    const client = createClient(
      SourceService,
      createConnectTransport({
        baseUrl: control.url,
        httpVersion: "1.1",
        interceptors: [
          (next) => async (request) => {
            request.header.set("authorization", `Bearer ${control.adminKey}`);
            request.header.set("x-tenant", "other");
            request.header.set("tenant", "other");
            return await next(request);
          },
        ],
      }),
    );
    await client.createSource({ source: { name: "ours" } });
    const other = `Bearer ${await provider.token({ claims: { tenant: "other" } })}`;
    const theirs = createClient(SourceService, control.transportOf(other));
    expect((await theirs.listSources({})).sources).toEqual([]);
  });
});

test("a watch ends before its next news once its credential does not hold any more", async () => {
  let holds = true;
  const transport = createRouterTransport(
    (router) =>
      router.service(NotificationService, {
        watchNotifications: async function* () {
          yield { event: 1n };
          yield { event: 2n };
        },
      }),
    {
      router: {
        interceptors: [
          authorize({
            kysely: neverAsked(),
            log: pino({ level: "silent" }),
            workerKey: WORKER_KEY,
            authenticate: async () => {
              if (!holds) throw notValid();
              return { kind: "token", actor: "ada", tenant: "default", role: "viewer" };
            },
            onAuditFailure: () => undefined,
            rateLimit: createRateLimit({ perSecond: 10, burst: 10 }),
            recheckMs: 0,
          }),
        ],
      },
    },
  );
  const seen: bigint[] = [];
  const watch = (async () => {
    const watched = createClient(NotificationService, transport).watchNotifications({});
    for await (const { event } of watched) {
      seen.push(event);
      holds = false;
    }
  })();
  await expect(watch).rejects.toMatchObject({ code: Code.Unauthenticated });
  expect(seen).toEqual([1n]);
});

/** A state that nothing is read from: a watch writes nothing down. */
function neverAsked(): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: () => Promise.reject(new Error("it was asked")) }),
  });
}
