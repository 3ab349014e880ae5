import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { sql } from "kysely";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuditIntent, beginAudit, endLostAudits } from "../src/access/audit-log.ts";
import { readConfig } from "../src/config.ts";
import { type Control, startControl } from "../src/control.ts";
import { openDatabase } from "../src/database/database.ts";
import { adminKeyIn, authorized } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { post } from "./testing/raw-post.ts";

const [pglite, postgres] = DATABASES;
let database: TestDatabase;
let control: Control;
let key: string;

beforeAll(async () => {
  if (pglite === undefined) throw new Error("there is no database to test on");
  database = await pglite.create();
  const config = readConfig({ SLUICE_CONTROL_PORT: "0", SLUICE_DATA_DIR: database.dataDir });
  control = await startControl(config, pino({ level: "silent" }));
  key = adminKeyIn(database.dataDir);
}, 120_000);
afterAll(async () => {
  await control?.close();
  await database?.remove();
});

const transport = () =>
  createGrpcTransport({ baseUrl: control.url, interceptors: [authorized(`Bearer ${key}`)] });
const metrics = async (): Promise<string> =>
  await (await fetch(`${control.probeUrl}/metrics`)).text();
/** The value of one line, by its name and labels. */
const seriesOf = async (series: string): Promise<number | undefined> => {
  const line = (await metrics()).split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

test("calls are counted by method and code, whatever comes of them", async () => {
  const sources = createClient(SourceService, transport());
  await sources.listSources({});
  await sources.listSources({});
  await expect(sources.deleteSource({ id: "src_none" })).rejects.toThrow();
  const strangers = createClient(
    SourceService,
    createConnectTransport({ baseUrl: control.url, httpVersion: "1.1" }),
  );
  await expect(strangers.listSources({})).rejects.toMatchObject({ code: Code.Unauthenticated });
  const calls = (method: string, code: string) =>
    seriesOf(`sluice_api_calls_total{method="SourceService/${method}",code="${code}"}`);
  expect(await calls("ListSources", "ok")).toBe(2);
  expect(await calls("ListSources", "unauthenticated")).toBe(1);
  expect(await calls("DeleteSource", "not_found")).toBe(1);
  expect(
    await seriesOf('sluice_api_call_duration_seconds_count{method="SourceService/ListSources"}'),
  ).toBe(3);
});

test("the state is counted, and nobody's names are told", async () => {
  await createClient(SourceService, transport()).createSource({ source: { name: "canary_4711" } });
  const text = await metrics();
  expect(text).toContain("\nsluice_database_up 1\n");
  expect(text).toContain('\nsluice_tasks{kind="load",state="ready"} 0\n');
  expect(text).toContain('\nsluice_workflows{state="running"} 0\n');
  expect(text).toContain("\nsluice_workers 0\n");
  expect(text).not.toContain("canary_4711");
  expect(text).not.toContain("tenant");
});

test("control is ready once its state is open, and not while it stops", async () => {
  const other = await pglite?.create();
  if (other === undefined) throw new Error("there is no database to test on");
  const config = readConfig({ SLUICE_CONTROL_PORT: "0", SLUICE_DATA_DIR: other.dataDir });
  const one = await startControl(config, pino({ level: "silent" }));
  const ready = async () => (await fetch(`${one.probeUrl}/readyz`)).status;
  expect(await ready()).toBe(200);
  await one.close();
  await expect(ready()).rejects.toThrow();
  await other.remove();
});

test.each([
  ["gRPC", "application/grpc", (bytes: Buffer) => envelope(bytes)],
  ["gRPC-Web", "application/grpc-web+proto", (bytes: Buffer) => envelope(bytes)],
  ["Connect", "application/proto", (bytes: Buffer) => bytes],
])("bytes that are no message are INVALID_ARGUMENT over %s", async (_name, type, wrap) => {
  // Field 1 with 100 bytes, of which there is none.
  const answer = await post(`${control.url}/sluice.control.v1.SourceService/CreateSource`, {
    type,
    key,
    body: wrap(Buffer.from([0x0a, 100])),
  });
  expect(answer).toMatch(/grpc-status: ?3|"code":"invalid_argument"/);
  expect(answer).not.toMatch(/grpc-status: ?13|"code":"internal"/);
});

test("malformed calls are counted too", async () => {
  expect(
    await seriesOf(
      'sluice_api_calls_total{method="SourceService/CreateSource",code="invalid_argument"}',
    ),
  ).toBe(3);
});

function envelope(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

test("a call that was cut off is in the audit log, once, as unfinished", async () => {
  const place = await pglite?.create();
  if (place === undefined) throw new Error("there is no database to test on");
  const { kysely, close } = await openDatabase({ dataDir: place.dataDir });
  const intent: AuditIntent = {
    tenant: "t",
    actorKind: "token",
    actor: "ada",
    role: "admin",
    method: "SourceService/DeleteSource",
    resource: "src_1",
    address: "127.0.0.1",
  };
  await beginAudit(kysely, intent);
  // It may still be at work.
  expect(await endLostAudits(kysely, 60_000)).toBe(0);
  await sql`update audit_intent set time = time - interval '61 seconds'`.execute(kysely);
  expect(await endLostAudits(kysely, 60_000)).toBe(1);
  expect(await endLostAudits(kysely, 60_000)).toBe(0);
  const events = await kysely.selectFrom("audit_event").selectAll().execute();
  expect(events).toMatchObject([{ actor: "ada", resource: "src_1", outcome: "unfinished" }]);
  await close();
  await place.remove();
});

test("nothing is done that can't be written down", async () => {
  const place = await pglite?.create();
  if (place === undefined) throw new Error("there is no database to test on");
  const environment = { SLUICE_CONTROL_PORT: "0", SLUICE_DATA_DIR: place.dataDir };
  const first = await startControl(readConfig(environment), pino({ level: "silent" }));
  await first.close();
  const { kysely, close } = await openDatabase({ dataDir: `${place.dataDir}/control` });
  await sql`create function no() returns trigger language plpgsql as
    $$ begin raise exception 'the disk is full'; end $$`.execute(kysely);
  await sql`create trigger no before insert on audit_intent execute function no()`.execute(kysely);
  await close();

  const second = await startControl(readConfig(environment), pino({ level: "silent" }));
  const interceptors = [authorized(`Bearer ${adminKeyIn(place.dataDir)}`)];
  const there = createGrpcTransport({ baseUrl: second.url, interceptors });
  const sources = createClient(SourceService, there);
  await expect(sources.createSource({ source: { name: "unseen" } })).rejects.toMatchObject({
    code: Code.Unavailable,
  });
  expect((await sources.listSources({})).sources).toEqual([]);
  const { events } = await createClient(AccessService, there).listAuditEvents({});
  expect(events.map(({ method }) => method)).not.toContain("SourceService/CreateSource");
  expect(await (await fetch(`${second.probeUrl}/metrics`)).text()).toContain(
    "\nsluice_audit_failures_total 1\n",
  );
  await second.close();
  await place.remove();
});

test("a copy of the folder of a stopped control is a whole backup", async () => {
  const place = await pglite?.create();
  const copy = await pglite?.create();
  if (place === undefined || copy === undefined) throw new Error("there is no database to test on");
  const start = async (dataDir: string): Promise<Control> => {
    const config = readConfig({ SLUICE_CONTROL_PORT: "0", SLUICE_DATA_DIR: dataDir });
    return await startControl(config, pino({ level: "silent" }));
  };
  const sourcesOf = (one: Control) =>
    createClient(
      SourceService,
      createGrpcTransport({
        baseUrl: one.url,
        interceptors: [authorized(`Bearer ${adminKeyIn(place.dataDir)}`)],
      }),
    );
  const first = await start(place.dataDir);
  await sourcesOf(first).createSource({ source: { name: "kept" } });
  await first.close();
  // As docs/operations.md says.
  execFileSync("cp", ["-a", join(place.dataDir, "control"), copy.dataDir]);
  const restored = await start(copy.dataDir);
  expect((await sourcesOf(restored).listSources({})).sources).toMatchObject([{ name: "kept" }]);
  await restored.close();

  // Without the master key the state is refused, not opened and rewritten.
  rmSync(join(copy.dataDir, "control", "master.key"));
  await expect(start(copy.dataDir)).rejects.toThrow(/master key/);
  await place.remove();
  await copy.remove();
});

test.skipIf(postgres?.absent !== undefined)(
  "a dump of PostgreSQL and the master key are a whole backup",
  async () => {
    const from = await postgres?.create();
    const to = await postgres?.create();
    if (from?.databaseUrl === undefined || to?.databaseUrl === undefined) {
      throw new Error("there is no database to test on");
    }
    const start = async (databaseUrl: string): Promise<Control> => {
      const config = readConfig({
        ...{ SLUICE_CONTROL_PORT: "0", SLUICE_DATA_DIR: from.dataDir, DATABASE_URL: databaseUrl },
      });
      return await startControl(config, pino({ level: "silent" }));
    };
    const sourcesOf = (one: Control) => {
      const interceptors = [authorized(`Bearer ${adminKeyIn(from.dataDir)}`)];
      return createClient(SourceService, createGrpcTransport({ baseUrl: one.url, interceptors }));
    };
    const first = await start(from.databaseUrl);
    await sourcesOf(first).createSource({ source: { name: "kept" } });
    // As docs/operations.md says, with control at work.
    const dump = join(from.dataDir, "sluice.dump");
    execFileSync("pg_dump", ["--format=custom", `--file=${dump}`, from.databaseUrl]);
    await first.close();
    execFileSync("pg_restore", [`--dbname=${to.databaseUrl}`, dump]);
    const restored = await start(to.databaseUrl);
    expect((await sourcesOf(restored).listSources({})).sources).toMatchObject([{ name: "kept" }]);
    await restored.close();
    await from.remove();
    await to.remove();
  },
);
