import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { type AccessConfig, readAccessConfig } from "./access/access-config.ts";
import type { KmsOptions } from "./secrets/kms.ts";
import {
  type MasterKeySetting,
  readMasterKeySetting,
  readMasterKeySettings,
} from "./secrets/master-key-setting.ts";
import { type Environment, flag, text, whole, wrong } from "./settings.ts";

/** Everything that the operator decides. */
export interface ControlConfig {
  /** Who may call, and how much. */
  readonly access: AccessConfig;
  /** SLUICE_CONTROL_HOST. The address to listen on. */
  readonly host: string;
  /** SLUICE_CONTROL_PORT. 0 lets the system choose. */
  readonly port: number;
  /** SLUICE_DATA_DIR. Control keeps what is its own in the folder `control` of it. */
  readonly dataDir: string;
  /** SLUICE_METRICS_HOST and SLUICE_METRICS_PORT. Where metrics and health are told, without a credential. */
  readonly metrics: { readonly host: string; readonly port: number };
  /** OTEL_EXPORTER_OTLP_ENDPOINT. Where spans go, by OTLP over HTTP; nowhere when not set. */
  readonly otlpEndpoint?: string;
  /** DATABASE_URL. PGlite in the data directory when not set. */
  readonly databaseUrl?: string;
  /** SLUICE_MASTER_KEY. A file of the data directory, made once, when not set. */
  readonly masterKey?: MasterKeySetting;
  /** SLUICE_FURTHER_MASTER_KEYS. Those that only open, for the time of a rotation. */
  readonly furtherMasterKeys: readonly MasterKeySetting[];
  /** SLUICE_REWRAP_SECRETS. Whether the start wraps everything by the master key. */
  readonly rewrapSecrets: boolean;
  /** SLUICE_KMS_ENDPOINT, SLUICE_KMS_REGION. */
  readonly kms: KmsOptions;
  /** SLUICE_PLATFORM_ROLE_ARN. `{tenant}` stands for the tenant's name. */
  readonly platformRoleArn: string;
  /** SLUICE_ALLOWED_ENDPOINTS. Origins, as in `http://127.0.0.1:9000`. */
  readonly allowedEndpoints: readonly string[];
  /** The contents of SLUICE_TLS_CERT and SLUICE_TLS_KEY, in PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** SLUICE_LOG_LEVEL. One of pino's. */
  readonly logLevel: string;
  /** SLUICE_READ_MAX_BYTES. A larger request is refused with RESOURCE_EXHAUSTED. */
  readonly readMaxBytes: number;
  /** SLUICE_WRITE_MAX_BYTES. A larger response becomes RESOURCE_EXHAUSTED. */
  readonly writeMaxBytes: number;
  /** SLUICE_MAX_TIMEOUT_MS. A call with a longer timeout is refused with INVALID_ARGUMENT. */
  readonly maxTimeoutMs: number;
  /** SLUICE_LEASE_MS. How long a worker may be silent before its tasks are given to others. */
  readonly leaseMs: number;
  /** SLUICE_MAX_ATTEMPTS. Attempts of a task before a failure that may pass by itself is final. */
  readonly maxAttempts: number;
  /** SLUICE_RETRY_DELAY_MS. The pause after the first failure; it doubles with every further one. */
  readonly retryDelayMs: number;
  /** SLUICE_FILE_WAIT_PAUSE_MS. The pause before a group's courier looks again for files that may still come. */
  readonly fileWaitPauseMs: number;
  /** SLUICE_ALLOWED_WEBHOOK_HOSTS. Names or addresses that webhooks may name though they are not public. */
  readonly allowedWebhookHosts: readonly string[];
  /** SLUICE_WEBHOOK_RETRY_MS. The pause after a delivery's first try in vain; it doubles, up to an hour. */
  readonly webhookRetryMs: number;
  /** SLUICE_MAX_UPLOAD_MIB, in bytes. The largest file that may be uploaded in the place of another. */
  readonly maxUploadBytes: number;
  /** SLUICE_KEEP_FAILED_HOURS, in milliseconds. How long a failed workflow may be resumed, and keeps what it staged. */
  readonly keepFailedMs: number;
  /** SLUICE_SHUTDOWN_GRACE_MS. Calls that last longer after a stop was asked for are cut off. */
  readonly shutdownGraceMs: number;
  /** SLUICE_IDLE_TIMEOUT_MS. Requests that stop in the middle are ended after it. */
  readonly idleTimeoutMs: number;
  /** SLUICE_REFLECTION. Whether strangers may ask for the API's description. */
  readonly reflection: boolean;
  /** SLUICE_EXIT_WITH_STDIN. Stops when stdin closes: a parent that is gone takes its child along. */
  readonly exitWithStdin: boolean;
}

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];
const ROLE_ARN = /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/[A-Za-z0-9+=,.@_/-]{1,576}$/;

/**
 * Reads the settings. Throws an Error of one line that names the variable; a secret's value is never
 * part of it.
 */
export function readConfig(environment: Environment = process.env): ControlConfig {
  const masterKey = readMasterKeySetting(environment, "SLUICE_MASTER_KEY");
  const tls = readTls(environment);
  const databaseUrl = text(environment, "DATABASE_URL");
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw wrong("DATABASE_URL", "a postgres:// address");
  }
  const otlpEndpoint = text(environment, "OTEL_EXPORTER_OTLP_ENDPOINT");
  if (otlpEndpoint !== undefined && !/^https?:$/.test(URL.parse(otlpEndpoint)?.protocol ?? "")) {
    throw wrong("OTEL_EXPORTER_OTLP_ENDPOINT", "an http or https address");
  }
  const dataDir = text(environment, "SLUICE_DATA_DIR") ?? ".sluice";
  return {
    access: readAccessConfig(environment, controlDirectory({ dataDir })),
    host: text(environment, "SLUICE_CONTROL_HOST") ?? "127.0.0.1",
    port: whole(environment, "SLUICE_CONTROL_PORT", { fallback: 8080, min: 0, max: 65_535 }),
    metrics: {
      host: text(environment, "SLUICE_METRICS_HOST") ?? "127.0.0.1",
      port: whole(environment, "SLUICE_METRICS_PORT", { fallback: 0, min: 0, max: 65_535 }),
    },
    ...(otlpEndpoint === undefined ? {} : { otlpEndpoint }),
    dataDir,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...(masterKey === undefined ? {} : { masterKey }),
    furtherMasterKeys: readMasterKeySettings(environment, "SLUICE_FURTHER_MASTER_KEYS"),
    rewrapSecrets: flag(environment, "SLUICE_REWRAP_SECRETS", false),
    kms: readKms(environment),
    platformRoleArn: readPlatformRole(environment),
    allowedEndpoints: readEndpoints(environment),
    ...(tls === undefined ? {} : { tls }),
    logLevel: readLogLevel(environment),
    readMaxBytes: whole(environment, "SLUICE_READ_MAX_BYTES", {
      fallback: 4 * 1024 * 1024,
      min: 1024,
      max: 256 * 1024 * 1024,
    }),
    writeMaxBytes: whole(environment, "SLUICE_WRITE_MAX_BYTES", {
      fallback: 32 * 1024 * 1024,
      min: 1024,
      max: 256 * 1024 * 1024,
    }),
    maxTimeoutMs: whole(environment, "SLUICE_MAX_TIMEOUT_MS", {
      fallback: 5 * 60_000,
      min: 1000,
      max: 24 * 3_600_000,
    }),
    leaseMs: whole(environment, "SLUICE_LEASE_MS", { fallback: 15_000, min: 1000, max: 600_000 }),
    maxAttempts: whole(environment, "SLUICE_MAX_ATTEMPTS", { fallback: 8, min: 1, max: 100 }),
    retryDelayMs: whole(environment, "SLUICE_RETRY_DELAY_MS", {
      fallback: 4700,
      min: 10,
      max: 300_000,
    }),
    fileWaitPauseMs: whole(environment, "SLUICE_FILE_WAIT_PAUSE_MS", {
      fallback: 60_000,
      min: 100,
      max: 3_600_000,
    }),
    allowedWebhookHosts: readHosts(environment, "SLUICE_ALLOWED_WEBHOOK_HOSTS"),
    webhookRetryMs: whole(environment, "SLUICE_WEBHOOK_RETRY_MS", {
      fallback: 5_000,
      min: 10,
      max: 3_600_000,
    }),
    maxUploadBytes:
      whole(environment, "SLUICE_MAX_UPLOAD_MIB", { fallback: 5120, min: 1, max: 81_920 }) *
      2 ** 20,
    keepFailedMs:
      whole(environment, "SLUICE_KEEP_FAILED_HOURS", { fallback: 168, min: 0, max: 8760 }) *
      3_600_000,
    shutdownGraceMs: whole(environment, "SLUICE_SHUTDOWN_GRACE_MS", {
      fallback: 5000,
      min: 0,
      max: 600_000,
    }),
    idleTimeoutMs: whole(environment, "SLUICE_IDLE_TIMEOUT_MS", {
      fallback: 60_000,
      min: 100,
      max: 3_600_000,
    }),
    reflection: flag(environment, "SLUICE_REFLECTION", true),
    exitWithStdin: flag(environment, "SLUICE_EXIT_WITH_STDIN", false),
  };
}

/** Where control keeps what is its own. */
export function controlDirectory(config: Pick<ControlConfig, "dataDir">): string {
  return join(config.dataDir, "control");
}

function readKms(environment: Environment): KmsOptions {
  const endpoint = text(environment, "SLUICE_KMS_ENDPOINT");
  const region = text(environment, "SLUICE_KMS_REGION");
  if (endpoint !== undefined && !/^https?:/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw wrong("SLUICE_KMS_ENDPOINT", "an http or https address");
  }
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  };
}

function readTls(environment: Environment): { cert: string; key: string } | undefined {
  const cert = text(environment, "SLUICE_TLS_CERT");
  const key = text(environment, "SLUICE_TLS_KEY");
  if (cert === undefined && key === undefined) {
    return undefined;
  }
  if (cert === undefined || key === undefined) {
    throw wrong(cert === undefined ? "SLUICE_TLS_CERT" : "SLUICE_TLS_KEY", "both or neither");
  }
  return { cert: readPem("SLUICE_TLS_CERT", cert), key: readPem("SLUICE_TLS_KEY", key) };
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(`${name}: ${path} can't be read`, { cause });
  }
}

function readPlatformRole(environment: Environment): string {
  const name = "SLUICE_PLATFORM_ROLE_ARN";
  const value = text(environment, name) ?? "arn:aws:iam::000000000000:role/sluice-{tenant}";
  if (!ROLE_ARN.test(value.replaceAll("{tenant}", "tenant"))) {
    throw wrong(name, "the ARN of a role, with {tenant} where the tenant's name goes", value);
  }
  return value;
}

function readEndpoints(environment: Environment): string[] {
  const name = "SLUICE_ALLOWED_ENDPOINTS";
  const items = (text(environment, name) ?? "").split(",").map((item) => item.trim());
  return items
    .filter((item) => item !== "")
    .map((item) => {
      const url = URL.parse(item);
      const isOrigin =
        url !== null &&
        /^https?:$/.test(url.protocol) &&
        [url.origin, `${url.origin}/`].includes(url.href);
      if (!isOrigin) {
        throw wrong(name, "http or https addresses without a path, separated by commas", item);
      }
      return url.origin;
    });
}

function readHosts(environment: Environment, name: string): string[] {
  const items = (text(environment, name) ?? "").split(",").map((item) => item.trim().toLowerCase());
  return items
    .filter((item) => item !== "")
    .map((item) => {
      if (!/^[a-z0-9._:-]+$/.test(item) || (item.includes(":") && !isIPv6(item))) {
        throw wrong(name, "host names or addresses without a port, separated by commas", item);
      }
      return item;
    });
}

function readLogLevel(environment: Environment): string {
  const value = text(environment, "SLUICE_LOG_LEVEL") ?? "info";
  if (!LOG_LEVELS.includes(value)) {
    throw wrong("SLUICE_LOG_LEVEL", `one of ${LOG_LEVELS.join(", ")}`, value);
  }
  return value;
}
