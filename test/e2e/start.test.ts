import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  descendants,
  npmStart,
  type Process,
  type Product,
  refusedStart,
  stillThere,
} from "./npm-start.ts";

/** `npm start`, from outside: what it prints, what it keeps, and what it leaves behind. */

let dataDir: string;
let product: Product | undefined;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "sluice-start-"));
});
afterEach(async () => await product?.[Symbol.asyncDispose]());
afterAll(async () => await rm(dataDir, { recursive: true, force: true }));

const ROLES = {
  control: "services/control/src/main.ts",
  ingest: "services/ingest/src/main.ts",
  S3: "local-aws/src/main.ts",
  ClickHouse: "local-clickhouse/src/server-process.ts",
};

/** The processes of the product, one of each role at least. */
function partsOf({ pid }: Product): Record<keyof typeof ROLES, Process> & { all: Process[] } {
  const all = descendants(pid);
  const find = (role: keyof typeof ROLES): Process => {
    const found = all.find(({ command }) => command.includes(ROLES[role]));
    if (found === undefined) throw new Error(`there is no process of ${role}`);
    return found;
  };
  return {
    all,
    control: find("control"),
    ingest: find("ingest"),
    S3: find("S3"),
    ClickHouse: find("ClickHouse"),
  };
}

const NOBODY = { interval: 100, timeout: 30_000 };

test("it prints where everything is, all of that answers, and Ctrl-C ends all of it well", async () => {
  product = await npmStart(dataDir);
  const { printed } = product;
  expect(printed).toContain(dataDir);
  expect(printed).toContain(product.adminKey);
  expect((await stat(product.adminKeyFile)).mode & 0o777).toBe(0o600);
  const stranger = await fetch(`${product.url}/sluice.control.v1.SourceService/ListSources`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  expect(stranger.status).toBe(401);
  expect(await product.call("CredentialService/GetPlatformIdentity", {})).toMatchObject({
    platformRoleArn: expect.stringMatching(/^arn:aws:iam::/),
    externalId: expect.stringMatching(/./),
  });

  const [, s3] = /S3 and STS +(\S+)/.exec(printed) ?? [];
  const [, bucket] = /bucket +(\S+)$/m.exec(printed) ?? [];
  // Signed by nobody, it is refused: by a server that speaks S3.
  expect(await (await fetch(`${s3}/${bucket}`)).text()).toContain("<Code>AccessDenied</Code>");

  const [, clickhouse, user = "", password = ""] =
    /ClickHouse +(\S+)\n +to read with +(\S+) \/ (\S+)/.exec(printed) ?? [];
  const query = async (sql: string): Promise<Response> =>
    await fetch(`${clickhouse}/?${new URLSearchParams({ query: sql })}`, {
      method: "POST",
      headers: { "X-ClickHouse-User": user, "X-ClickHouse-Key": password },
    });
  expect(await (await query("SELECT currentUser()")).text()).toBe(`${user}\n`);
  expect((await query("CREATE DATABASE mine")).ok).toBe(false);

  await product.call("SourceService/CreateSource", { source: { name: "kept" } });
  const { all } = partsOf(product);
  expect(await product.pressCtrlC()).toBe(0);
  expect(stillThere(all)).toEqual([]);
});

test("started again, it has what was created, and tells no key; SIGKILL of it leaves no process behind", async () => {
  product = await npmStart(dataDir);
  expect(product.printed).not.toContain(product.adminKey);
  expect(await product.call("SourceService/ListSources", {})).toMatchObject({
    sources: [{ name: "kept" }],
  });
  const { all } = partsOf(product);
  await product.end("SIGKILL");
  await expect.poll(() => stillThere(all), NOBODY).toEqual([]);
});

test("after a SIGKILL it starts again; when ClickHouse dies, it ends and says so", async () => {
  product = await npmStart(dataDir);
  expect(await product.call("SourceService/ListSources", {})).toMatchObject({
    sources: [{ name: "kept" }],
  });
  const { all, ClickHouse } = partsOf(product);
  process.kill(ClickHouse.pid, "SIGKILL");
  expect(await product.exited).toBe(1);
  expect(stillThere(all)).toEqual([]);
});

describe("a wrong setting ends it with EX_CONFIG and one line that names the variable", () => {
  test.each([
    ["SLUICE_CONTROL_PORT", "abc"],
    ["SLUICE_CONTROL_PORT", "65536"],
    ["SLUICE_CLICKHOUSE_MEMORY_MIB", "-1"],
    ["CLICKHOUSE_URL", "nonsense"],
    ["DATABASE_URL", "mysql://127.0.0.1/sluice"],
  ])("%s=%s", async (name, value) => {
    const { code, said } = await refusedStart({ SLUICE_DATA_DIR: dataDir, [name]: value });
    expect(said).toMatch(new RegExp(`^${name} .*\n$`));
    expect(code).toBe(78);
  });
});

test("a setting that only a part of it knows ends it too, with that part's own line", async () => {
  const { code, said } = await refusedStart({ SLUICE_DATA_DIR: dataDir, SLUICE_CAPACITY: "many" });
  expect(said).toContain('SLUICE_CAPACITY is "many": it takes a whole number of at least 1');
  expect(said).not.toContain("    at ");
  expect(code).toBe(1);
});
