import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type LocalAws, startLocalAws } from "@sluice/local-aws";
import { type LocalClickHouse, startLocalClickHouse } from "@sluice/local-clickhouse";
import { type ChildService, startChildService } from "./child-service.ts";

export interface LocalOptions {
  /** Everything that is kept lies below. */
  readonly dataDir: string;
  /** Where the API listens; default 0, which lets the system choose. */
  readonly controlPort?: number;
  /** A ClickHouse to load into, instead of the embedded one. */
  readonly clickhouse?: {
    readonly url: string;
    readonly username: string;
    readonly password: string;
    /** Who runs ingest queries there; without a password there are none. */
    readonly queryUser?: string;
    readonly queryPassword?: string;
  };
  readonly clickhouseMemoryBytes?: number;
  /** A folder with both services as `pnpm bundle` makes them, to be run in the place of the sources. */
  readonly bundles?: string;
  /** More settings for control and for ingest, by their names in the environment. */
  readonly controlEnvironment?: Readonly<Record<string, string | undefined>>;
  readonly ingestEnvironment?: Readonly<Record<string, string | undefined>>;
}

/** Both services and every server they need, each in a process of its own, on 127.0.0.1. */
export interface Local extends AsyncDisposable {
  /** The API. */
  readonly url: string;
  /** An API key of an admin, for those who call it. */
  readonly adminKey: string;
  /** The file that it is in. */
  readonly adminKeyFile: string;
  readonly control: ChildService;
  /** The worker that runs now. */
  readonly ingest: ChildService;
  readonly aws: LocalAws;
  /** The embedded server; undefined when another one is loaded into. */
  readonly clickhouse: LocalClickHouse | undefined;
  /** Starts a worker when the last one is gone. */
  startIngest(): Promise<ChildService>;
  /** Starts control anew on the same port when the last one is gone. */
  startControl(): Promise<ChildService>;
  stop(): Promise<void>;
}

const main = (service: "control" | "ingest", bundles: string | undefined): URL =>
  bundles === undefined
    ? new URL(import.meta.resolve(`@sluice/${service}/main`))
    : pathToFileURL(join(bundles, service, "main.mjs"));

/** Starts everything; what was started is stopped again if a later part fails. */
export async function startLocal(options: LocalOptions): Promise<Local> {
  const { dataDir } = options;
  await using started = new AsyncDisposableStack();
  const aws = started.use(await startLocalAws({ dataDir: join(dataDir, "aws") }));
  const platform = await createPlatform(aws);
  const clickhouse =
    options.clickhouse === undefined
      ? started.use(
          await startLocalClickHouse({
            dataDir: join(dataDir, "clickhouse"),
            ...(options.clickhouseMemoryBytes === undefined
              ? {}
              : { maxMemoryBytes: options.clickhouseMemoryBytes }),
          }),
        )
      : undefined;
  const warehouse = options.clickhouse ?? toWarehouse(clickhouse);

  const adminKeyFile =
    options.controlEnvironment?.SLUICE_ADMIN_KEY_FILE || join(dataDir, "admin.key");
  const workerKeyFile = join(dataDir, "worker.key");
  const secretFile = createSecretFiles(join(dataDir, "secrets"));
  const startControl = async (port: number): Promise<ChildService> =>
    await startChildService({
      name: "control",
      main: main("control", options.bundles),
      logFile: join(dataDir, "logs", "control.log"),
      environment: {
        PATH: options.controlEnvironment?.PATH,
        SLUICE_CONTROL_PORT: String(port),
        SLUICE_DATA_DIR: join(dataDir, "control"),
        SLUICE_PLATFORM_ROLE_ARN: platform.roleArn,
        SLUICE_ALLOWED_ENDPOINTS: aws.url,
        SLUICE_ADMIN_KEY_FILE: adminKeyFile,
        // Somebody at this machine must always get in, whatever the database has seen before.
        SLUICE_NEW_ADMIN_KEY: "1",
        SLUICE_WORKER_KEY_FILE: workerKeyFile,
        ...options.controlEnvironment,
      },
    });
  const startIngest = async (): Promise<ChildService> =>
    await startChildService({
      name: "ingest",
      main: main("ingest", options.bundles),
      logFile: join(dataDir, "logs", "ingest.log"),
      environment: {
        SLUICE_CONTROL_URL: control.url,
        SLUICE_WORKER_KEY_FILE: workerKeyFile,
        CLICKHOUSE_URL: warehouse.url,
        CLICKHOUSE_USER: warehouse.username,
        CLICKHOUSE_PASSWORD_FILE: secretFile("clickhouse-loader", warehouse.password),
        CLICKHOUSE_QUERY_USER: warehouse.queryUser,
        CLICKHOUSE_QUERY_PASSWORD_FILE: secretFile(
          "clickhouse-query",
          warehouse.queryPassword ?? "",
        ),
        SLUICE_AWS_ACCESS_KEY_ID: platform.accessKeyId,
        SLUICE_AWS_SECRET_ACCESS_KEY_FILE: secretFile("aws", platform.secretAccessKey),
        SLUICE_STS_ENDPOINT: aws.url,
        SLUICE_S3_ENDPOINT: aws.url,
        SLUICE_ALLOWED_ENDPOINTS: options.controlEnvironment?.SLUICE_ALLOWED_ENDPOINTS ?? aws.url,
        SLUICE_UPLOAD_BUCKET: UPLOAD_BUCKET,
        ...options.ingestEnvironment,
      },
    });

  let control = await startControl(options.controlPort ?? 0);
  started.defer(async () => await control.stop());
  let ingest = await startIngest();
  started.defer(async () => await ingest.stop());

  const running = started.move();
  const { url } = control;
  return {
    url,
    adminKey: readFileSync(adminKeyFile, "utf8").trim(),
    adminKeyFile,
    aws,
    clickhouse,
    get control() {
      return control;
    },
    get ingest() {
      return ingest;
    },
    async startIngest() {
      ingest = await startIngest();
      return ingest;
    },
    async startControl() {
      control = await startControl(Number(new URL(url).port));
      return control;
    },
    stop: async () => await running.disposeAsync(),
    [Symbol.asyncDispose]: async () => await running.disposeAsync(),
  };
}

/** Secrets go to services by files that their owner alone may read: an environment can be read in /proc. */
function createSecretFiles(directory: string): (name: string, secret: string) => string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return (name, secret) => {
    const path = join(directory, name);
    writeFileSync(path, secret, { mode: 0o600 });
    return path;
  };
}

/** The platform's own, for files that stand in the place of customers' files. */
const UPLOAD_BUCKET = "sluice-uploads";

/** Not the account of the buckets: what the platform reads, it reads across accounts, as in life. */
const PLATFORM_ACCOUNT = "444455556666";

interface PlatformIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** As control writes it, with the tenant's place. */
  readonly roleArn: string;
}

/** The platform's side of AWS: a base user that may assume the platform's role, and keep uploads in a bucket of its own. */
async function createPlatform(aws: LocalAws): Promise<PlatformIdentity> {
  const mayAssumeRoles = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" }],
  } as const;
  const accountId = PLATFORM_ACCOUNT;
  await aws.createBucket(UPLOAD_BUCKET);
  const [mayAssume] = mayAssumeRoles.Statement;
  const mayUpload = {
    Effect: "Allow",
    Action: "s3:*Object*",
    Resource: `arn:aws:s3:::${UPLOAD_BUCKET}/*`,
  } as const;
  const user = await aws.createUser({
    name: "sluice",
    accountId,
    policy: { Version: "2012-10-17", Statement: [mayAssume, mayUpload] },
  });
  await aws.putRole({
    name: "sluice-default",
    accountId,
    policy: mayAssumeRoles,
    trustPolicy: {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { AWS: user.arn }, Action: "sts:AssumeRole" }],
    },
  });
  return { ...user, roleArn: `arn:aws:iam::${accountId}:role/sluice-{tenant}` };
}

function toWarehouse(
  clickhouse: LocalClickHouse | undefined,
): NonNullable<LocalOptions["clickhouse"]> {
  if (clickhouse === undefined) throw new Error("there is no ClickHouse to load into");
  const { loader, query } = clickhouse.users;
  return {
    url: clickhouse.url,
    username: loader.name,
    password: loader.password,
    queryUser: query.name,
    queryPassword: query.password,
  };
}
