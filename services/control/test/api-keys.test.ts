import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { Role } from "@sluice/api/control/v1/access_pb";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeApiKey } from "../src/access/api-key.ts";
import { openDatabase } from "../src/database/database.ts";
import { codeOf } from "./testing/code-of.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";

/** AccessService: keys, and what is written down. */

const [pglite] = DATABASES;
let database: TestDatabase;
let control: ControlUnderTest;
let access: Client<typeof AccessService>;

beforeAll(async () => {
  if (pglite === undefined) throw new Error("there is no database to test on");
  database = await pglite.create();
  control = await startControlUnderTest(database);
  access = control.client(AccessService);
}, 120_000);
afterAll(async () => {
  await control?.close();
  await database?.remove();
});

describe("API keys", () => {
  test("the secret is told once, and kept nowhere", async () => {
    const { apiKey, secret } = await access.createApiKey({ name: "once", role: Role.VIEWER });
    expect(secret).toMatch(/^slk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}$/);
    expect(apiKey?.prefix).toBe(secret.slice(0, 16));
    const { apiKeys } = await access.listApiKeys({});
    expect(apiKeys.find(({ id }) => id === apiKey?.id)).toMatchObject({ name: "once" });
    expect(
      JSON.stringify(apiKeys, (_, value) => (typeof value === "bigint" ? 0 : value)),
    ).not.toContain(secret.slice(17));
    expect(control.logged()).not.toContain(secret.slice(17));
    expect((await database.dump()).includes(secret.slice(17))).toBe(false);
  });

  test("a key is known to have been used, and by a revocation it ends at once here", async () => {
    const { apiKey, secret } = await access.createApiKey({ name: "used", role: Role.VIEWER });
    const id = apiKey?.id ?? "";
    const client = createClient(SourceService, control.transportOf(`Bearer ${secret}`));
    await client.listSources({});
    const { apiKeys } = await access.listApiKeys({ pageSize: 1 });
    expect(apiKeys[0]?.id).toBe(id);
    expect(apiKeys[0]?.lastUseTime).toBeDefined();
    const { apiKey: revoked } = await access.revokeApiKey({ id });
    expect(revoked?.revokeTime).toBeDefined();
    const again = await access.revokeApiKey({ id });
    expect(again.apiKey?.revokeTime).toEqual(revoked?.revokeTime);
    await expect(client.listSources({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "the API key was revoked",
    });
  });

  test("a key can't begin in the past, and has a role", async () => {
    const past = timestampFromMs(Date.now() - 1000);
    for (const wrong of [
      { role: Role.VIEWER, expireTime: past },
      { role: Role.UNSPECIFIED },
      { role: 99 as Role },
    ]) {
      const made = access.createApiKey({ name: "wrong", ...wrong });
      await expect(made).rejects.toMatchObject({ code: Code.InvalidArgument });
    }
  });
});

describe("the audit log", () => {
  const newest = async (actor = "") =>
    (await access.listAuditEvents({ pageSize: 20, actor })).events;

  test("has every change with who, what and how it ended, and nothing that a request holds", async () => {
    const credentials = control.client(CredentialService);
    const canary = "canary-secret-8842";
    const { credential } = await credentials.createCredential({
      credential: {
        name: "audited",
        kind: {
          case: "accessKey",
          value: {
            accessKeyId: "AKIA1234567890123456",
            secretAccessKey: canary,
            bucket: "acme-data",
          },
        },
      },
    });
    const id = credential?.id ?? "";
    await credentials.deleteCredential({ id });
    await expect(credentials.deleteCredential({ id })).rejects.toThrow();
    await credentials.listCredentials({});
    const { apiKeys } = await access.listApiKeys({ pageSize: 1000 });
    const self = apiKeys.find(({ prefix }) => control.adminKey.startsWith(prefix))?.id;
    const { events } = await access.listAuditEvents({ resource: id });
    expect(events.map(({ method, outcome }) => [method, outcome])).toEqual([
      ["CredentialService/DeleteCredential", "not_found"],
      ["CredentialService/DeleteCredential", "ok"],
      ["CredentialService/CreateCredential", "ok"],
    ]);
    expect(events[0]).toMatchObject({ actor: self, role: Role.ADMIN, address: "127.0.0.1" });
    const all = JSON.stringify(await newest(), (_, value) => String(value));
    expect(all).not.toContain(canary);
  });

  test("has what was refused of somebody who is known, and nothing of strangers", async () => {
    const { apiKey, secret } = await access.createApiKey({ name: "small", role: Role.VIEWER });
    const id = apiKey?.id ?? "";
    const send = (key: string) =>
      codeOf(control.transportOf(`Bearer ${key}`), SourceService.method.createSource);
    await send(secret);
    await send(`${secret.slice(0, -4)}AAAA`);
    await send(makeApiKey());
    const events = await newest(id);
    expect(events.map(({ method, outcome, role }) => [method, outcome, role])).toEqual([
      ["SourceService/CreateSource", "unauthenticated", Role.UNSPECIFIED],
      ["SourceService/CreateSource", "permission_denied", Role.VIEWER],
    ]);
  });

  test("begins with the first key, which the service made itself, and goes on page by page", async () => {
    const methods: string[] = [];
    let pageToken = "";
    do {
      const page = await access.listAuditEvents({ pageSize: 5, pageToken });
      methods.push(...page.events.map(({ method, actor }) => `${actor} ${method}`));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(methods.at(-1)).toBe("start AccessService/CreateApiKey");
    expect(methods.length).toBeGreaterThan(5);
  });

  test("can't be changed or emptied, also not by the service's own connection", async () => {
    const place = await pglite?.create();
    if (place === undefined) throw new Error("there is no database to test on");
    const { kysely, close } = await openDatabase({ dataDir: place.dataDir });
    const row = { tenant: "t", actor: "a", role: "", method: "m", resource: "", outcome: "ok" };
    await kysely
      .insertInto("audit_event")
      .values({ ...row, actor_kind: "token", role: "", address: "" })
      .execute();
    for (const statement of [
      sql`update audit_event set outcome = 'ok'`,
      sql`delete from audit_event`,
      sql`truncate audit_event`,
    ]) {
      await expect(statement.execute(kysely)).rejects.toThrow("only ever appended to");
    }
    await close();
    await place.remove();
  });
});
