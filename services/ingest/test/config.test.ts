import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";

const MIB = 1024 * 1024;

test("without settings a worker speaks to servers of this machine alone", () => {
  const { workerId, capacity, ...config } = readConfig({});
  expect(capacity).toBeGreaterThanOrEqual(1);
  expect(capacity).toBeLessThanOrEqual(4);
  expect(workerId).toContain(String(process.pid));
  expect(config).toEqual({
    controlUrl: "http://127.0.0.1:8080",
    workerKey: "",
    metricsHost: "127.0.0.1",
    metricsPort: 0,
    otlpEndpoint: "",
    inspectHost: "127.0.0.1",
    inspectPort: 0,
    keepReplacedTables: true,
    inspectUrl: "",
    clickhouse: {
      url: "http://127.0.0.1:8123",
      username: "sluice_loader",
      password: "",
      queryUser: "sluice_query",
      queryPassword: "",
      retryBudgetMs: 60_000,
      requestTimeoutMs: 300_000,
    },
    platform: {
      accessKeyId: "",
      secretAccessKey: "",
      stsEndpoint: "",
      s3Endpoint: "",
      allowedHosts: [],
    },
    memoryBudgetBytes: 256 * MIB,
    uploads: { bucket: "", region: "" },
    threadHeapMib: 256,
    threadSilenceMs: 120_000,
    spoolDir: tmpdir(),
    maxSpoolBytes: 20_480 * MIB,
    maxArchiveDepth: 2,
    maxPreviewSpoolBytes: 500 * 1024 * 1024,
    previewTimeoutMs: 60_000,
    limits: {
      fetch: {},
      decrypt: {},
      decompress: {},
      archive: {},
      delimited: {},
      json: {},
      xml: {},
      avro: {},
      parquet: {},
      batch: {},
    },
    metersStages: false,
    insertConcurrency: 2,
    drainMs: 30_000,
    exitWithStdin: false,
    logLevel: "info",
  });
});

test("what is written is taken, in the unit that the name says", () => {
  expect(
    readConfig({
      SLUICE_WORKER_ID: "left",
      SLUICE_CONTROL_URL: "https://control.example:8443",
      SLUICE_CAPACITY: "7",
      SLUICE_INSPECT_PORT: "9001",
      SLUICE_MEMORY_BUDGET_MIB: "64",
      SLUICE_THREAD_HEAP_MIB: "128",
      SLUICE_MAX_SPOOL_MIB: "3",
      SLUICE_LIMITS: '{"json": {"maxRecordBytes": 100}, "archive": {"maxEntries": 3}}',
      SLUICE_MAX_ARCHIVE_DEPTH: "1",
      SLUICE_STS_ENDPOINT: "http://127.0.0.1:9000",
      SLUICE_EXIT_WITH_STDIN: "1",
    }),
  ).toMatchObject({
    workerId: "left",
    controlUrl: "https://control.example:8443",
    capacity: 7,
    inspectPort: 9001,
    memoryBudgetBytes: 64 * MIB,
    threadHeapMib: 128,
    maxSpoolBytes: 3 * MIB,
    maxArchiveDepth: 1,
    limits: { json: { maxRecordBytes: 100 }, archive: { maxEntries: 3 }, xml: {} },
    platform: { stsEndpoint: "http://127.0.0.1:9000" },
    exitWithStdin: true,
  });
});

test("an empty variable is as good as none", () => {
  const empty = readConfig({
    SLUICE_WORKER_ID: "",
    SLUICE_CONTROL_URL: " ",
    SLUICE_CAPACITY: " ",
    SLUICE_S3_ENDPOINT: "",
    CLICKHOUSE_USER: "",
  });
  const { workerId } = empty;
  expect(workerId).not.toBe("");
  expect({ ...empty, workerId }).toEqual({ ...readConfig({}), workerId });
});

describe("a wrong setting is one line that names the variable", () => {
  test.each([
    ["SLUICE_CAPACITY", "many", /a whole number of at least 1$/],
    ["SLUICE_CAPACITY", "0", /at least 1$/],
    ["SLUICE_CAPACITY", "1.5", /a whole number/],
    ["SLUICE_INSPECT_PORT", "65536", /from 0 to 65535$/],
    ["SLUICE_MEMORY_BUDGET_MIB", "15", /at least 16$/],
    ["SLUICE_THREAD_HEAP_MIB", "63", /at least 64$/],
    ["SLUICE_MAX_SPOOL_MIB", "0", /at least 1$/],
    ["SLUICE_INSERT_CONCURRENCY", "-1", /at least 1$/],
    ["SLUICE_DRAIN_MS", "soon", /at least 0$/],
    ["SLUICE_CLICKHOUSE_RETRY_MS", "1e999", /at least 0$/],
    ["SLUICE_CONTROL_URL", "127.0.0.1:8080", /an address like http:/],
    ["SLUICE_INSPECT_URL", "here", /an address like http:/],
    ["SLUICE_STS_ENDPOINT", "ftp://127.0.0.1", /an address like http:/],
    ["SLUICE_S3_ENDPOINT", "localhost", /an address like http:/],
    ["CLICKHOUSE_URL", "tcp://127.0.0.1:9000", /an address like http:/],
    ["SLUICE_MAX_ARCHIVE_DEPTH", "5", /from 1 to 4$/],
    ["SLUICE_LIMITS", "1000", /takes JSON like/],
    ["SLUICE_LIMITS", '{"csv": {}}', /limits of fetch, decrypt, decompress,/],
    ["SLUICE_LIMITS", '{"json": 5}', /limits of fetch, decrypt/],
    ["SLUICE_LIMITS", '{"xml": {"maxdepth": 5}}', /there is maxDepth,/],
    ["SLUICE_LIMITS", '{"xml": {"maxDepth": "5"}}', /a whole number for xml.maxDepth$/],
    ["SLUICE_LIMITS", '{"decrypt": {"maxArgon2MemoryExponent": 21}}', /must not be over 20/],
    ["SLUICE_LOG_LEVEL", "loud", /one of fatal, error, warn, info/],
  ])("%s=%s", (name, value, takes) => {
    const read = (): unknown => readConfig({ [name]: value });
    expect(read).toThrow(new RegExp(`^${name} `));
    expect(read).toThrow(takes);
    expect(read).toThrow(/^.*$/);
  });

  test("and never the password that an address holds", () => {
    const read = (): unknown => readConfig({ CLICKHOUSE_URL: "tcp://loader:canary@host:9000" });
    expect(read).toThrow(/^CLICKHOUSE_URL /);
    expect(read).not.toThrow(/canary/);
  });
});

describe("a secret's file", () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-secret-"));
  const path = join(directory, "password");
  afterAll(() => rmSync(directory, { recursive: true }));
  const passwordOf = (environment: Record<string, string>): string =>
    readConfig(environment).clickhouse.password;

  test("is read when the secret itself is not given, to its last line break", () => {
    writeFileSync(path, " its own \n", { mode: 0o600 });
    expect(passwordOf({ CLICKHOUSE_PASSWORD_FILE: path })).toBe(" its own ");
    expect(passwordOf({ CLICKHOUSE_PASSWORD_FILE: path, CLICKHOUSE_PASSWORD: "x" })).toBe("x");
  });

  test("is refused when it is absent, or others may read it", () => {
    const missing = { CLICKHOUSE_PASSWORD_FILE: join(directory, "none") };
    expect(() => passwordOf(missing)).toThrow(/^CLICKHOUSE_PASSWORD_FILE: .* can't be read$/);
    chmodSync(path, 0o640);
    expect(() => passwordOf({ CLICKHOUSE_PASSWORD_FILE: path })).toThrow(/can be read by others/);
  });
});
