import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { createLocalAws } from "@sluice/local-aws";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../src/database/database.ts";
import { masterKeyFromKms } from "../src/secrets/kms.ts";
import { assertMasterKeys, rewrapSecrets } from "../src/secrets/rewrap.ts";
import { createSecretBox, type SecretBox } from "../src/secrets/secret-box.ts";
import { openSecrets, putSecret } from "../src/secrets/secret-store.ts";
import { startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES } from "./testing/databases.ts";

const log = pino({ level: "silent" });
const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
const base64 = (key: Uint8Array): string => Buffer.from(key).toString("base64");

/** A server of the KMS API to ask, and whose keys it takes. */
interface Kms extends AsyncDisposable {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

async function startLocalKms(): Promise<Kms> {
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-kms-"));
  const aws = await createLocalAws({ dataDir });
  const user = await aws.createUser({
    name: "control",
    policy: {
      Statement: {
        Effect: "Allow",
        Action: ["kms:CreateKey", "kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"],
        Resource: "*",
      },
    },
  });
  return {
    endpoint: aws.url,
    credentials: user,
    async [Symbol.asyncDispose]() {
      await aws.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

/** Somebody else's KMS: what we take for AWS's API is judged by it. */
async function startMoto(): Promise<Kms> {
  const free = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => free.once("listening", done));
  const { port } = free.address() as { port: number };
  await new Promise((done) => free.close(done));
  const server = spawn("python3", ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)], {
    stdio: "ignore",
  });
  const endpoint = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 200; tries++) {
    if (await fetch(endpoint).then(Boolean, () => false)) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  return {
    endpoint,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    async [Symbol.asyncDispose]() {
      server.kill("SIGKILL");
    },
  };
}

const hasMoto = spawnSync("python3", ["-c", "import moto.server"]).status === 0;
const SERVERS = [
  ["local-aws", startLocalKms, true],
  [`moto${hasMoto ? "" : " (absent: skipped)"}`, startMoto, hasMoto],
] as const;

describe.each(SERVERS)("a master key wrapped by the KMS of %s", (_name, start, isPresent) => {
  describe.skipIf(!isPresent)("", () => {
    let kms: Kms;
    let kmsKey: string;
    let dataDir: string;
    beforeAll(async () => {
      kms = await start();
      dataDir = mkdtempSync(join(tmpdir(), "sluice-kms-"));
      await using client = clientOf(kms);
      const { KeyMetadata } = await client.kms.send(new CreateKeyCommand({}));
      kmsKey = KeyMetadata?.Arn ?? "";
    });
    afterAll(async () => {
      await kms[Symbol.asyncDispose]();
      rmSync(dataDir, { recursive: true, force: true });
    });

    test("is made once, and opened by KMS for the same purpose alone", async () => {
      const database = await openDatabase({ dataDir });
      try {
        const both = await Promise.all(
          [1, 2].map(() => masterKeyFromKms(database.kysely, kmsKey, kms)),
        );
        expect(both[0]).toHaveLength(32);
        expect(both[0]?.equals(both[1] ?? Buffer.alloc(0))).toBe(true);
        const [made = Buffer.alloc(0)] = both;
        expect((await masterKeyFromKms(database.kysely, kmsKey, kms)).equals(made)).toBe(true);
        const [row] = await database.kysely.selectFrom("kms_master_key").selectAll().execute();
        expect(Buffer.from(row?.wrapped ?? []).includes(made)).toBe(false);
        await using client = clientOf(kms);
        const open = (EncryptionContext: Record<string, string>): Promise<unknown> =>
          client.kms.send(new DecryptCommand({ CiphertextBlob: row?.wrapped, EncryptionContext }));
        expect(await open({ purpose: "master-key", service: "sluice" })).toMatchObject({
          KeyId: kmsKey,
        });
        for (const other of [{}, { service: "sluice" }, { purpose: "x", service: "sluice" }]) {
          await expect(open(other as Record<string, string>)).rejects.toThrow();
        }
      } finally {
        await database.close();
      }
    });

    test("encrypts and decrypts as the API says", async () => {
      await using client = clientOf(kms);
      const EncryptionContext = { a: "1", b: "2" };
      const { CiphertextBlob } = await client.kms.send(
        new EncryptCommand({ KeyId: kmsKey, Plaintext: Buffer.from("x"), EncryptionContext }),
      );
      const { Plaintext } = await client.kms.send(
        new DecryptCommand({ CiphertextBlob, EncryptionContext: { b: "2", a: "1" } }),
      );
      expect(Buffer.from(Plaintext ?? []).toString()).toBe("x");
      const altered = Uint8Array.from(CiphertextBlob ?? []);
      altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
      const opened = client.kms.send(
        new DecryptCommand({ CiphertextBlob: altered, EncryptionContext }),
      );
      await expect(opened).rejects.toMatchObject({ name: "InvalidCiphertextException" });
    });

    test("is an error of one line, and tells no key, when KMS refuses", async () => {
      const database = await openDatabase({ dataDir });
      try {
        const gone = { ...kms, endpoint: "http://127.0.0.1:9" };
        await expect(masterKeyFromKms(database.kysely, kmsKey, gone)).rejects.toThrow(
          /^the master key can't be opened by the KMS key arn:/,
        );
      } finally {
        await database.close();
      }
    });
  });
});

function clientOf(kms: Kms): AsyncDisposable & { readonly kms: KMSClient } {
  const client = new KMSClient({ region: "us-east-1", ...kms });
  return { kms: client, [Symbol.asyncDispose]: async () => client.destroy() };
}

describe.each(DATABASES.map((kind) => [kind.name, kind] as const))("on %s", (_name, kind) => {
  describe.skipIf(kind.absent !== undefined)("a rotation of the master key", () => {
    test("wraps every secret by the new one, from wherever it was left, and the old one may go", async () => {
      const given = await kind.create();
      const old = { SLUICE_MASTER_KEY: base64(oldKey) };
      try {
        const first = await startControlUnderTest(given, old);
        const ids: string[] = [];
        for (const name of ["a", "b", "c"]) {
          const { body } = await first.post("CredentialService/CreateCredential", {
            requestId: `request ${name}`,
            credential: {
              name,
              accessKey: {
                bucket: "acme-data",
                accessKeyId: "AK",
                secretAccessKey: `secret of ${name}`,
              },
            },
          });
          ids.push(body.credential.id);
        }
        await first.post("NotificationService/CreateWebhook", {
          webhook: {
            url: "https://hooks.example.com/",
            secret: `whsec_${base64(Buffer.alloc(24, 5))}`,
          },
        });
        await first.close();

        // The new key alone opens nothing, and says which is missing.
        const alone = { SLUICE_MASTER_KEY: base64(newKey) };
        await expect(startControlUnderTest(given, alone)).rejects.toThrow(
          `sealed by master key ${createSecretBox(oldKey).keyId}`,
        );

        // With the old one beside it, it opens what that sealed, and seals by itself.
        const both = { ...alone, SLUICE_FURTHER_MASTER_KEYS: base64(oldKey) };
        const between = await startControlUnderTest(given, both);
        const again = await between.post("CredentialService/CreateCredential", {
          requestId: "request a",
          credential: {
            name: "a",
            accessKey: {
              bucket: "acme-data",
              accessKeyId: "AK",
              secretAccessKey: "secret of a",
            },
          },
        });
        expect(again.body.credential?.id).toBe(ids[0]);
        await between.close();
        await expect(startControlUnderTest(given, alone)).rejects.toThrow("sealed by master key");

        // One row was wrapped when the service was killed.
        const box = createSecretBox(newKey, [oldKey]);
        const database = await openDatabase(
          given.databaseUrl === undefined
            ? { dataDir: join(given.dataDir, "control") }
            : { databaseUrl: given.databaseUrl, onIdleError: () => undefined },
        );
        const owner = { tenant: "default", credentialId: ids[0] ?? "" };
        await putSecret(database.kysely, box, owner, "secret_access_key", "secret of a");
        await expect(assertMasterKeys(database.kysely, createSecretBox(newKey))).rejects.toThrow(
          "SLUICE_FURTHER_MASTER_KEYS",
        );
        await database.close();

        const rewrap = { ...both, SLUICE_REWRAP_SECRETS: "1" };
        const second = await startControlUnderTest(given, rewrap);
        expect(second.logged()).toContain('"count":3,"msg":"all secrets are wrapped');
        await second.close();
        const third = await startControlUnderTest(given, rewrap);
        expect(third.logged()).toContain('"count":0,"msg":"all secrets are wrapped');
        await third.close();

        const last = await startControlUnderTest(given, alone);
        expect((await last.post("CredentialService/ListCredentials", {})).status).toBe(200);
        await last.close();
        const after = await openDatabase(
          given.databaseUrl === undefined
            ? { dataDir: join(given.dataDir, "control") }
            : { databaseUrl: given.databaseUrl, onIdleError: () => undefined },
        );
        for (const [at, credentialId] of ids.entries()) {
          const only = createSecretBox(newKey);
          const opened = await openSecrets(after.kysely, only, { tenant: "default", credentialId });
          expect(opened.get("secret_access_key")).toBe(`secret of ${"abc"[at]}`);
        }
        await after.close();
      } finally {
        await given.remove();
      }
    }, 120_000);
  });
});

describe("wrapping anew", () => {
  const place = { tenant: "t", credentialId: "c", name: "n", version: 1 };
  const old: SecretBox = createSecretBox(oldKey);
  const both = createSecretBox(newKey, [oldKey]);

  test("leaves the secret as it is, and binds it to the same place", () => {
    const sealed = old.seal(place, Buffer.from("x"));
    const anew = both.rewrap(place, sealed);
    expect(anew.sealed).toBe(sealed.sealed);
    expect(anew.keyId).toBe(createSecretBox(newKey).keyId);
    expect(createSecretBox(newKey).open(place, anew).toString()).toBe("x");
    expect(() => createSecretBox(newKey).open({ ...place, tenant: "u" }, anew)).toThrow();
  });

  test("refuses what does not open at its place", () => {
    const sealed = old.seal(place, Buffer.from("x"));
    expect(() => both.rewrap({ ...place, credentialId: "d" }, sealed)).toThrow();
    const altered = { ...sealed, sealed: Uint8Array.from(sealed.sealed).fill(0, 28) };
    expect(() => both.rewrap(place, altered)).toThrow();
    expect(() => createSecretBox(newKey).rewrap(place, sealed)).toThrow(old.keyId);
  });

  test("digests of either key are known, and of no other", () => {
    const bytes = Buffer.from("body");
    expect(both.isDigest(bytes, old.digest(bytes))).toBe(true);
    expect(both.isDigest(bytes, both.digest(bytes))).toBe(true);
    expect(old.isDigest(bytes, both.digest(bytes))).toBe(false);
    expect(both.isDigest(bytes, Buffer.alloc(0))).toBe(false);
  });
});

test("rewrapSecrets of a database without secrets has nothing to do", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-rewrap-"));
  const database = await openDatabase({ dataDir });
  expect(await rewrapSecrets(database.kysely, createSecretBox(newKey), log)).toBe(0);
  await database.close();
  rmSync(dataDir, { recursive: true });
});

describe("SLUICE_MASTER_KEY", () => {
  test("may name a file that its owner alone may read", async () => {
    const { readConfig } = await import("../src/config.ts");
    const dataDir = mkdtempSync(join(tmpdir(), "sluice-key-"));
    const path = join(dataDir, "key");
    writeFileSync(path, `${base64(newKey)}\n`, { mode: 0o600 });
    expect(readConfig({ SLUICE_MASTER_KEY: `file:${path}` }).masterKey).toEqual({
      kind: "bytes",
      key: newKey,
    });
    expect(readConfig({ SLUICE_MASTER_KEY: "kms:alias/x" }).masterKey).toEqual({
      kind: "kms",
      kmsKey: "alias/x",
    });
    writeFileSync(path, "canary", { mode: 0o600 });
    expect(() => readConfig({ SLUICE_MASTER_KEY: `file:${path}` })).toThrow(
      /^SLUICE_MASTER_KEY: expected 32 bytes in base64, file:<path> or kms:<key's id or ARN>$/,
    );
    expect(() => readConfig({ SLUICE_MASTER_KEY: `file:${path}x` })).toThrow("there is no file");
    rmSync(dataDir, { recursive: true });
  });
});
