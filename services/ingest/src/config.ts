import { availableParallelism, hostname, tmpdir } from "node:os";
import { hostOf } from "@sluice/outbound";
import { readLimits, type StageLimits } from "./limits.ts";
import { readSecret } from "./secret-file.ts";
import { readWorkerKey } from "./worker-key.ts";

const MIB = 1024 * 1024;

/** All settings of an ingest worker. The environment is read here and nowhere else. */
export interface IngestConfig {
  /** Unique, and new at every start. */
  readonly workerId: string;
  /** Where control listens: `http://host:port`, or https. */
  readonly controlUrl: string;
  /** What control and this worker show each other. */
  readonly workerKey: string;
  /** Tasks worked on at one time. */
  readonly capacity: number;
  /** Where metrics and health are told, without a credential; port 0 lets the system choose. */
  readonly metricsHost: string;
  readonly metricsPort: number;
  /** Where spans go, by OTLP over HTTP; nowhere when empty. */
  readonly otlpEndpoint: string;
  /** Where InspectService listens; port 0 lets the system choose. */
  readonly inspectHost: string;
  readonly inspectPort: number;
  /** What control is told to call; empty for the address that is listened on. */
  readonly inspectUrl: string;
  readonly clickhouse: {
    readonly url: string;
    readonly username: string;
    readonly password: string;
    /** Who runs the SQL of ingest queries: a user that can reach the databases sluice_query_* alone. */
    readonly queryUser: string;
    /** Empty refuses ingest queries. */
    readonly queryPassword: string;
    /** How long a request is repeated while ClickHouse is away, before the attempt fails. */
    readonly retryBudgetMs: number;
    /** How long one request may take without a word of the server; then it is sent again. */
    readonly requestTimeoutMs: number;
  };
  /** Who the platform is to AWS; empty texts leave it to the SDK's own chain and addresses. */
  readonly platform: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly stsEndpoint: string;
    readonly s3Endpoint: string;
    /** Hosts that endpoints of credentials may name although they are not public. */
    readonly allowedHosts: readonly string[];
  };
  /** The platform's own bucket for files that stand in the place of customers' files; no name, no uploads. */
  readonly uploads: { readonly bucket: string; readonly region: string };
  /** Bytes that all tasks and previews of the worker may hold together, outside of V8's heaps. */
  readonly memoryBudgetBytes: number;
  /** Heap of one task's thread, above which the task fails and the worker lives. */
  readonly threadHeapMib: number;
  /** Milliseconds that a task's thread may not come back to its event loop, before the task fails. */
  readonly threadSilenceMs: number;
  /** Where streams that have to be read at random are kept meanwhile, and at most how many bytes one task keeps. */
  readonly spoolDir: string;
  readonly maxSpoolBytes: number;
  /** The same for a preview, which also reads no more of an object than this; and how long one may take. */
  readonly maxPreviewSpoolBytes: number;
  readonly previewTimeoutMs: number;
  /** Archives that may stand in each other, the outermost counted: 1 refuses an archive inside an archive. */
  readonly maxArchiveDepth: number;
  /** Whether a table that is replaced stays until the next one is, so that it can come back. */
  readonly keepReplacedTables: boolean;
  /** Limits of the stages that are not to have their defaults. */
  readonly limits: StageLimits;
  /** Whether the log tells of each load where its time went. */
  readonly metersStages: boolean;
  /** Inserts of one task in flight at one time. */
  readonly insertConcurrency: number;
  /** How long a task may go on when the worker is asked to end. */
  readonly drainMs: number;
  /** Ends the process when its standard input closes: the parent died. */
  readonly exitWithStdin: boolean;
  readonly logLevel: string;
}

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

type Environment = Readonly<Record<string, string | undefined>>;

/** The hosts of addresses, written as control takes them: separated by commas. */
function readHosts(written: string): readonly string[] {
  const items = written.split(",").map((item) => item.trim());
  return items
    .filter((item) => item !== "")
    .map((item) => {
      const url = URL.parse(item);
      if (url === null || !/^https?:$/.test(url.protocol)) {
        throw new Error("SLUICE_ALLOWED_ENDPOINTS takes addresses like http://127.0.0.1:9000");
      }
      return hostOf(url);
    });
}

/**
 * Reads the settings; an empty one is as good as none. Throws one error of one line that names the wrong
 * variable and says what it takes; addresses may hold a password, and are not repeated.
 */
export function readConfig(environment: Environment = process.env): IngestConfig {
  const text = (name: string, fallback: string): string => environment[name]?.trim() || fallback;
  const number = (name: string, fallback: number, least: number, most = Infinity): number => {
    const written = text(name, "");
    if (written === "") return fallback;
    const value = Number(written);
    if (!Number.isInteger(value) || value < least || value > most) {
      const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
      throw new Error(`${name} is "${written}": it takes a whole number ${range}`);
    }
    return value;
  };
  const url = (name: string, fallback: string): string => {
    const written = text(name, fallback);
    if (!URL.canParse(written) || !/^https?:$/.test(new URL(written).protocol)) {
      throw new Error(`${name} takes an address like ${fallback}`);
    }
    return written;
  };
  const optionalUrl = (name: string): string =>
    text(name, "") === "" ? "" : url(name, "http://127.0.0.1:9000");
  const oneOf = (name: string, choices: readonly string[], fallback: string): string => {
    const written = text(name, fallback);
    if (!choices.includes(written)) {
      throw new Error(`${name} is "${written}": it takes one of ${choices.join(", ")}`);
    }
    return written;
  };

  return {
    workerId: text("SLUICE_WORKER_ID", `${hostname()}-${process.pid}-${Date.now().toString(36)}`),
    controlUrl: url("SLUICE_CONTROL_URL", "http://127.0.0.1:8080"),
    workerKey: readWorkerKey(text("SLUICE_WORKER_KEY", ""), text("SLUICE_WORKER_KEY_FILE", "")),
    capacity: number("SLUICE_CAPACITY", Math.min(4, availableParallelism()), 1),
    metricsHost: text("SLUICE_METRICS_HOST", "127.0.0.1"),
    metricsPort: number("SLUICE_METRICS_PORT", 0, 0, 65_535),
    otlpEndpoint:
      text("OTEL_EXPORTER_OTLP_ENDPOINT", "") === ""
        ? ""
        : url("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
    inspectHost: text("SLUICE_INSPECT_HOST", "127.0.0.1"),
    inspectPort: number("SLUICE_INSPECT_PORT", 0, 0, 65_535),
    inspectUrl: optionalUrl("SLUICE_INSPECT_URL"),
    clickhouse: {
      url: url("CLICKHOUSE_URL", "http://127.0.0.1:8123"),
      username: text("CLICKHOUSE_USER", "sluice_loader"),
      password: readSecret(environment, "CLICKHOUSE_PASSWORD"),
      queryUser: text("CLICKHOUSE_QUERY_USER", "sluice_query"),
      queryPassword: readSecret(environment, "CLICKHOUSE_QUERY_PASSWORD"),
      retryBudgetMs: number("SLUICE_CLICKHOUSE_RETRY_MS", 60_000, 0),
      requestTimeoutMs: number("SLUICE_CLICKHOUSE_TIMEOUT_MS", 300_000, 1_000),
    },
    platform: {
      accessKeyId: text("SLUICE_AWS_ACCESS_KEY_ID", ""),
      secretAccessKey: readSecret(environment, "SLUICE_AWS_SECRET_ACCESS_KEY"),
      stsEndpoint: optionalUrl("SLUICE_STS_ENDPOINT"),
      s3Endpoint: optionalUrl("SLUICE_S3_ENDPOINT"),
      allowedHosts: readHosts(text("SLUICE_ALLOWED_ENDPOINTS", "")),
    },
    uploads: {
      bucket: text("SLUICE_UPLOAD_BUCKET", ""),
      region: text("SLUICE_UPLOAD_REGION", ""),
    },
    memoryBudgetBytes: number("SLUICE_MEMORY_BUDGET_MIB", 256, 16) * MIB,
    threadHeapMib: number("SLUICE_THREAD_HEAP_MIB", 256, 64),
    threadSilenceMs: number("SLUICE_THREAD_SILENCE_MS", 120_000, 100, 3_600_000),
    spoolDir: text("SLUICE_SPOOL_DIR", tmpdir()),
    maxSpoolBytes: number("SLUICE_MAX_SPOOL_MIB", 20_480, 1) * MIB,
    maxPreviewSpoolBytes: number("SLUICE_MAX_PREVIEW_SPOOL_MIB", 500, 1) * MIB,
    previewTimeoutMs: number("SLUICE_PREVIEW_TIMEOUT_MS", 60_000, 100, 600_000),
    maxArchiveDepth: number("SLUICE_MAX_ARCHIVE_DEPTH", 2, 1, 4),
    keepReplacedTables: oneOf("SLUICE_KEEP_REPLACED_TABLES", ["0", "1"], "1") === "1",
    metersStages: oneOf("SLUICE_METER_STAGES", ["0", "1"], "0") === "1",
    limits: readLimits(text("SLUICE_LIMITS", "")),
    insertConcurrency: number("SLUICE_INSERT_CONCURRENCY", 2, 1),
    drainMs: number("SLUICE_DRAIN_MS", 30_000, 0),
    exitWithStdin: text("SLUICE_EXIT_WITH_STDIN", "") === "1",
    logLevel: oneOf("SLUICE_LOG_LEVEL", LOG_LEVELS, "info"),
  };
}
