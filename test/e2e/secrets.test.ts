import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { createClient } from "@connectrpc/connect";
import { PGlite } from "@electric-sql/pglite";
import { Role } from "@sluice/api/control/v1/access_pb";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { Compression } from "@sluice/api/control/v1/file_settings_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CSV, type FileSettings, INTEGER, STRING, type Story, startStory } from "./story.ts";

/**
 * Attack R7: each secret is a text that occurs once in the world. After loads that succeed and that fail in each stage
 * it stands nowhere but in the file that keeps it.
 */

const PASSPHRASE = "canary-passphrase-5d2f81c7";
const WRONG_PASSPHRASE = "canary-wrong-passphrase-77aa0e";
const STATIC_SECRET = "canaryStaticSecretAccessKey0123456789abcd";
const WRONG_STATIC_SECRET = "canaryWrongSecretAccessKey0123456789abcde";
const WEBHOOK_SECRET = `whsec_${Buffer.from("canary webhook secret of many bytes").toString("base64")}`;
const WRONG_CLICKHOUSE = "canary-clickhouse-password-31b0";
/** A cell of rows that are refused: a customer's data has no place in a log. */
const CELL = "canary-cell-88e1";
/** As local-aws seals a session. */
const SESSION_TOKEN = /eyJ[\w-]{80,}\.[\w-]{43}/;

let story: Story;
let root: string;
let feedId: string;
let publicKey: string;
/** Secrets by what they are. */
const canaries = new Map<string, string>();
const ingestEnvironment: Record<string, string | undefined> = { SLUICE_LOG_LEVEL: "trace" };
const seen: Workflow[] = [];

beforeAll(async () => {
  story = await startStory({
    controlEnvironment: {
      SLUICE_LOG_LEVEL: "trace",
      SLUICE_ALLOWED_WEBHOOK_HOSTS: "127.0.0.1",
      SLUICE_WEBHOOK_RETRY_MS: "100",
      SLUICE_MAX_ATTEMPTS: "2",
      SLUICE_RETRY_DELAY_MS: "10",
    },
    ingestEnvironment,
  });
  root = join(story.local.adminKeyFile, "..");
  feedId = await story.feed("vault", "people", {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "name", type: STRING },
    ],
    primaryKey: ["id"],
  });
  const users = story.local.clickhouse?.users;
  const keys = await generateKey({ userIDs: [{ name: "Acme" }], passphrase: PASSPHRASE });
  ({ publicKey } = keys);
  privateKey = keys.privateKey;
  const platform = readFileSync(join(root, "secrets", "aws"), "utf8");
  const made = await createClient(AccessService, story.transport).createApiKey({
    name: "ci",
    role: Role.VIEWER,
  });
  const entries: [string, string][] = [
    ["the passphrase", PASSPHRASE],
    ["the wrong passphrase", WRONG_PASSPHRASE],
    ["the private key", privateKey.split("\n").find((line) => line.length > 40) ?? ""],
    ["an access key's secret", STATIC_SECRET],
    ["a wrong access key's secret", WRONG_STATIC_SECRET],
    ["the webhook's secret", WEBHOOK_SECRET],
    ["the admin's API key", story.local.adminKey],
    ["an API key", made.secret],
    ["the worker key", readFileSync(join(root, "worker.key"), "utf8").trim()],
    ["the master key", readFileSync(join(root, "control/control/master.key"), "utf8").trim()],
    ["the platform's secret", platform],
    ["the wrong ClickHouse password", WRONG_CLICKHOUSE],
    ...(["admin", "loader", "reader", "query"] as const).map((name): [string, string] => [
      `ClickHouse's password of ${name}`,
      users?.[name].password ?? "",
    ]),
  ];
  for (const [name, secret] of entries) {
    expect(secret.length, name).toBeGreaterThan(12);
    canaries.set(name, secret);
  }
});
let privateKey: string;
afterAll(async () => await story[Symbol.asyncDispose]());

/** Which secrets stand in a text. */
function found(text: string): string[] {
  const secrets = [...canaries].filter(([, secret]) => text.includes(secret));
  return [
    ...secrets.map(([name]) => name),
    ...(SESSION_TOKEN.test(text) ? ["a session token"] : []),
  ];
}

async function pgp(name: string, passphrase: string): Promise<FileSettings> {
  const { credential } = await story.credentials.createCredential({
    credential: { name, kind: { case: "pgp", value: { privateKeyBlock: privateKey, passphrase } } },
  });
  const credentialId = credential?.id ?? "";
  return { ...CSV, encryption: { case: "pgp", value: { credentialId } } };
}

async function encrypted(text: string): Promise<Uint8Array> {
  const message = await createMessage({ text });
  const encryptionKeys = await readKey({ armoredKey: publicKey });
  return (await encrypt({ message, encryptionKeys, format: "binary" })) as Uint8Array;
}

function nameOf(values: Readonly<Record<string, unknown>>, value: number): string {
  return Object.keys(values).find((name) => values[name] === value) ?? "";
}

async function load(options: {
  readonly key: string;
  readonly bytes?: Uint8Array | string;
  readonly settings?: FileSettings;
  readonly credentialId?: string;
}): Promise<string> {
  const { bytes, ...courier } = options;
  if (bytes !== undefined) await story.customer.put(options.key, bytes);
  const workflow = await story.run(await story.courier({ feedId, ...courier }));
  seen.push(workflow);
  return workflow.failure === undefined
    ? nameOf(Workflow_State, workflow.state)
    : `${nameOf(Stage, workflow.failure.stage)}.${workflow.failure.code}`;
}

test("secrets are used by loads that succeed and by loads that fail in each stage", async () => {
  const notifications = createClient(NotificationService, story.transport);
  // Nobody listens there: deliveries fail, and are tried again.
  await notifications.createWebhook({
    webhook: { url: "http://127.0.0.1:9/hook", secret: WEBHOOK_SECRET },
  });
  const user = await story.local.aws.createUser({
    name: "static",
    secretAccessKey: STATIC_SECRET,
    accessKeyId: "AKIASTATICCANARY0001",
    policy: { Statement: { Effect: "Allow", Action: "s3:*", Resource: "*" } },
  });
  const byKey = async (name: string, secretAccessKey: string): Promise<string> => {
    const value = { bucket: story.customer.bucket, accessKeyId: user.accessKeyId, secretAccessKey };
    const { credential } = await story.credentials.createCredential({
      credential: {
        name,
        kind: { case: "accessKey", value: { ...value, endpoint: story.local.aws.url } },
      },
    });
    const id = credential?.id ?? "";
    await story.credentials.testCredential({ id });
    return id;
  };
  const good = await byKey("static", STATIC_SECRET);
  const bad = await byKey("static, wrong", WRONG_STATIC_SECRET);
  const sealed = await encrypted("id,name\n1,One\n");
  const right = await pgp("right", PASSPHRASE);

  expect(await load({ key: "plain.csv", bytes: "id,name\n1,One\n" })).toBe("SUCCEEDED");
  expect(await load({ key: "a.pgp", bytes: sealed, settings: right })).toBe("SUCCEEDED");
  expect(await load({ key: "by-key.csv", bytes: "id,name\n2,Two\n", credentialId: good })).toBe(
    "SUCCEEDED",
  );

  expect(await load({ key: "refused.csv", bytes: "id\n1\n", credentialId: bad })).toBe(
    "CONNECT.invalid_credentials",
  );
  expect(await load({ key: "absent.csv" })).toBe("LIST.file_not_found");
  const deleted = await story.local.aws.faults.add({
    operation: "GetObject",
    effect: { kind: "error", code: "NoSuchKey" },
  });
  expect(await load({ key: "deleted.csv", bytes: "id\n1\n" })).toBe("FETCH.object_deleted");
  await story.local.aws.faults.clear(deleted);
  await expect(pgp("wrong", WRONG_PASSPHRASE)).rejects.toThrow();
  const altered = Uint8Array.from(sealed);
  altered[altered.length - 30] = (altered[altered.length - 30] ?? 0) ^ 1;
  expect(await load({ key: "b.pgp", bytes: altered, settings: right })).toBe(
    "DECRYPT.integrity_failed",
  );
  const packed = { ...CSV, compression: Compression.GZIP };
  expect(await load({ key: "c.gz", bytes: Buffer.from("1f8b08", "hex"), settings: packed })).toBe(
    "DECOMPRESS.truncated",
  );
  expect(await load({ key: "d.csv", bytes: `id,name\n1,"${CELL}` })).toBe("PARSE.malformed");
  const rows = Array.from({ length: 50 }, () => `${CELL},x`).join("\n");
  expect(await load({ key: "e.csv", bytes: `id,name\n${rows}\n` })).toBe("CAST.threshold_exceeded");

  // ClickHouse refuses the password: its answer names the user.
  await story.local.ingest.stop();
  ingestEnvironment.CLICKHOUSE_PASSWORD = WRONG_CLICKHOUSE;
  ingestEnvironment.CLICKHOUSE_PASSWORD_FILE = "";
  await story.local.startIngest();
  expect(await load({ key: "last.csv", bytes: "id,name\n3,x\n" })).toMatch(/^LOAD\./);
}, 120_000);

test("no process shows one in its arguments or its environment", () => {
  const { control, ingest, clickhouse } = story.local;
  const pids = [control.pid, ingest.pid, ...childrenOf(process.pid)];
  expect(pids.length).toBeGreaterThan(3);
  expect(clickhouse).toBeDefined();
  for (const pid of new Set(pids)) {
    const [args, environment] = ["cmdline", "environ"].map((name) => {
      return readFileSync(`/proc/${pid}/${name}`, "latin1").replaceAll("\0", "\n");
    });
    // This test gave the wrong password to the last worker itself.
    const shown = found(`${args}\n${environment?.replaceAll(WRONG_CLICKHOUSE, "")}`);
    expect(shown, `${pid}: ${args}`).toEqual([]);
  }
});

test("no answer of the API holds one, whatever it is asked", async () => {
  const ask = async (method: string, request: object): Promise<string> => {
    const response = await fetch(`${story.local.url}/sluice.control.v1.${method}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${story.local.adminKey}`,
      },
      body: JSON.stringify(request),
    });
    return await response.text();
  };
  const answers = await Promise.all([
    ...[
      "CredentialService/ListCredentials",
      "CourierService/ListCouriers",
      "WorkflowService/ListWorkflows",
      "WorkflowService/ListActions",
      "NotificationService/ListNotifications",
      "NotificationService/ListWebhooks",
      "AccessService/ListApiKeys",
      "AccessService/ListAuditEvents",
    ].map((method) => ask(method, { pageSize: 100 })),
    ...seen.map(({ id }) => ask("WorkflowService/GetWorkflow", { id })),
    ...seen.map(({ id }) => ask("WorkflowService/ListWorkflowFiles", { workflowId: id })),
  ]);
  expect(answers.join("\n")).toContain("threshold_exceeded");
  expect(found(answers.join("\n"))).toEqual([]);
});

test("ClickHouse's log of queries holds none", async () => {
  await story.clickhouse.command({ query: "SYSTEM FLUSH LOGS" });
  const [{ n = 0 } = {}] = await story.rows<{ n: number }>(
    "SELECT toUInt32(count()) AS n FROM system.query_log WHERE user = 'sluice_loader'",
  );
  expect(n).toBeGreaterThan(20);
  const lines = await story.rows("SELECT * FROM system.query_log");
  expect(found(JSON.stringify(lines))).toEqual([]);
});

test("no log, table or spooled file holds one", async () => {
  const { control, ingest, clickhouse } = story.local;
  await ingest.stop();
  await control.stop();
  const logs = [control, ingest].map(({ logFile }) => readFileSync(logFile, "utf8")).join("\n");
  expect(logs).toContain("threshold_exceeded");
  expect(logs).not.toContain(CELL);

  const database = await PGlite.create(join(root, "control", "control", "state"));
  const tables = await database.query<{ name: string }>(
    "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
  );
  expect(tables.rows.length).toBeGreaterThan(20);
  for (const { name } of tables.rows) {
    const { rows } = await database.query(`select t::text from ${name} t`);
    expect(found(JSON.stringify(rows)), name).toEqual([]);
  }
  await database.close();

  await clickhouse?.stop();
  const files = filesBelow(root).filter((path) => !KEEPERS.some((keeper) => keeper.test(path)));
  expect(files.some((path) => path.endsWith("control.log"))).toBe(true);
  expect(files.some((path) => path.endsWith("clickhouse.log"))).toBe(true);
  for (const path of files) {
    expect(found(readFileSync(join(root, path), "latin1")), path).toEqual([]);
  }
}, 60_000);

/** Files whose purpose is to keep a secret, all of them for their owner alone. */
const KEEPERS = [
  /^(admin|worker)\.key$/,
  /^control\/control\/master\.key$/,
  /^secrets\//,
  /^clickhouse\/passwords\.json$/,
  // The other side's: a customer's cloud.
  /^aws\//,
];

test("the files that keep secrets are for their owner alone", () => {
  const keepers = filesBelow(root).filter((path) => KEEPERS.slice(0, 4).some((k) => k.test(path)));
  expect(keepers).toHaveLength(7);
  for (const path of keepers) expect(statSync(join(root, path)).mode & 0o077, path).toBe(0);
});

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        // The command's name stands in parentheses, and may hold anything.
        const [, ppid] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? [];
        return Number(ppid) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}
