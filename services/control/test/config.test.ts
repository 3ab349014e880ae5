import { describe, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";

test("without settings it listens on this machine alone, and keeps its state in .sluice", () => {
  expect(readConfig({})).toEqual({
    access: {
      tenants: ["default"],
      adminKeyFile: ".sluice/control/admin.key",
      newAdminKey: false,
      workerKeyFile: ".sluice/control/worker.key",
      rateLimit: { perSecond: 200, burst: 1000 },
      rememberKeyMs: 30_000,
    },
    idleTimeoutMs: 60_000,
    host: "127.0.0.1",
    port: 8080,
    metrics: { host: "127.0.0.1", port: 0 },
    dataDir: ".sluice",
    platformRoleArn: "arn:aws:iam::000000000000:role/sluice-{tenant}",
    allowedEndpoints: [],
    keepFailedMs: 604_800_000,
    maxUploadBytes: 5_368_709_120,
    leaseMs: 15_000,
    logLevel: "info",
    maxAttempts: 8,
    retryDelayMs: 4700,
    readMaxBytes: 4 * 1024 * 1024,
    writeMaxBytes: 32 * 1024 * 1024,
    maxTimeoutMs: 300_000,
    fileWaitPauseMs: 60_000,
    allowedWebhookHosts: [],
    webhookRetryMs: 5000,
    shutdownGraceMs: 5000,
    reflection: true,
    exitWithStdin: false,
    furtherMasterKeys: [],
    rewrapSecrets: false,
    kms: {},
  });
});

test("an empty variable is as good as none", () => {
  expect(readConfig({ SLUICE_CONTROL_PORT: " ", SLUICE_MASTER_KEY: "" })).toEqual(readConfig({}));
});

test("endpoints are compared by their origin", () => {
  const { allowedEndpoints } = readConfig({
    SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1:9000/, https://S3.example.com:443",
  });
  expect(allowedEndpoints).toEqual(["http://127.0.0.1:9000", "https://s3.example.com"]);
});

test("hosts of webhooks are compared in small letters", () => {
  const { allowedWebhookHosts } = readConfig({
    SLUICE_ALLOWED_WEBHOOK_HOSTS: "Hooks.internal, 10.0.0.1,::1,",
  });
  expect(allowedWebhookHosts).toEqual(["hooks.internal", "10.0.0.1", "::1"]);
});

describe("a wrong setting is one line that names the variable", () => {
  test.each([
    ["SLUICE_CONTROL_PORT", "http"],
    ["SLUICE_CONTROL_PORT", "65536"],
    ["SLUICE_CONTROL_PORT", "-1"],
    ["DATABASE_URL", "mysql://user:canary@host/db"],
    ["SLUICE_MASTER_KEY", "canary"],
    ["SLUICE_FURTHER_MASTER_KEYS", "kms:a,canary"],
    ["SLUICE_KMS_ENDPOINT", "ftp://kms.example"],
    ["SLUICE_REWRAP_SECRETS", "yes"],
    ["SLUICE_MASTER_KEY", Buffer.alloc(31).toString("base64")],
    ["SLUICE_PLATFORM_ROLE_ARN", "role/x"],
    ["SLUICE_ALLOWED_ENDPOINTS", "127.0.0.1:9000"],
    ["SLUICE_ALLOWED_ENDPOINTS", "http://127.0.0.1:9000/path"],
    ["SLUICE_ALLOWED_ENDPOINTS", "ftp://127.0.0.1"],
    ["SLUICE_TLS_CERT", "/nowhere/cert.pem"],
    ["SLUICE_LOG_LEVEL", "loud"],
    ["SLUICE_READ_MAX_BYTES", "4MiB"],
    ["SLUICE_WRITE_MAX_BYTES", "1"],
    ["SLUICE_MAX_TIMEOUT_MS", "0"],
    ["SLUICE_SHUTDOWN_GRACE_MS", "1.5"],
    ["SLUICE_FILE_WAIT_PAUSE_MS", "0"],
    ["SLUICE_ALLOWED_WEBHOOK_HOSTS", "127.0.0.1:8080"],
    ["SLUICE_ALLOWED_WEBHOOK_HOSTS", "https://hooks.internal"],
    ["SLUICE_WEBHOOK_RETRY_MS", "soon"],
    ["SLUICE_REFLECTION", "yes"],
    ["SLUICE_EXIT_WITH_STDIN", "true"],
    ["SLUICE_TENANTS", "Acme"],
    ["SLUICE_TENANTS", "acme,"],
    ["SLUICE_WORKER_KEY", "canary"],
    ["SLUICE_RATE_PER_SECOND", "0"],
    ["SLUICE_KEY_MEMORY_MS", "60001"],
  ])("%s=%s", (name, value) => {
    const environment =
      name === "SLUICE_TLS_CERT" ? { [name]: value, SLUICE_TLS_KEY: value } : { [name]: value };
    let message = "";
    try {
      readConfig(environment);
    } catch (error) {
      message = error instanceof Error ? error.message : "";
    }
    expect(message.split(":")[0]).toBe(name);
    expect(message).not.toContain("\n");
    expect(message).not.toContain("canary");
  });

  test("a certificate without its key", () => {
    expect(() => readConfig({ SLUICE_TLS_CERT: "cert.pem" })).toThrow("SLUICE_TLS_KEY");
  });
});

describe("tokens", () => {
  const OIDC = {
    SLUICE_OIDC_ISSUER: "https://login.example",
    SLUICE_OIDC_AUDIENCE: "sluice",
    SLUICE_OIDC_JWKS: "https://login.example/keys",
  };

  test("are taken of one issuer for one audience, with signatures by public keys alone", () => {
    expect(readConfig(OIDC).access.oidc).toEqual({
      issuer: "https://login.example",
      audience: "sluice",
      jwks: "https://login.example/keys",
      algorithms: ["RS256", "ES256"],
      roleClaim: "sluice_role",
      tenantClaim: "",
    });
  });

  test.each([
    ["SLUICE_OIDC_JWKS", "http://login.example/keys"],
    ["SLUICE_OIDC_JWKS", "ftp://login.example/keys"],
    ["SLUICE_OIDC_JWKS", ""],
    ["SLUICE_OIDC_AUDIENCE", ""],
    ["SLUICE_OIDC_ALGORITHMS", "HS256"],
    ["SLUICE_OIDC_ALGORITHMS", "none"],
    ["SLUICE_OIDC_ALGORITHMS", "RS256,"],
  ])("%s=%s is refused", (name, value) => {
    expect(() => readConfig({ ...OIDC, [name]: value })).toThrow(name);
  });
});
