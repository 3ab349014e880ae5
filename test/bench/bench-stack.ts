import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { S3 } from "@aws-sdk/client-s3";
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { type Story, startStory } from "../e2e/story.ts";
import type { DataFile } from "./data/cached-data.ts";
import { createGeneratedStore, type GeneratedStore } from "./generated-store.ts";
import { openPgpKeys, type PgpKeys } from "./pgp-keys.ts";

export type ChildEnvironment = Readonly<Record<string, string>>;

/** The product, its servers, and what the benchmark needs beside them. */
export interface BenchStack extends AsyncDisposable {
  readonly story: Story;
  /** With all rights, and with patience. */
  readonly clickhouse: ClickHouseClient;
  readonly generated: GeneratedStore;
  /** A folder on disk, gone at the end. */
  readonly folder: string;
  /** Puts a case's files into the customer's bucket, below `prefix`. */
  upload(prefix: string, files: readonly DataFile[]): Promise<void>;
  remove(prefix: string, files: readonly DataFile[]): Promise<void>;
  pgpKeys(): Promise<PgpKeys>;
  /** The id of a credential that holds the keys. */
  pgpCredential(): Promise<string>;
}

/** Half of the machine: what the server may take is not what is measured. */
const CLICKHOUSE_MEMORY_BYTES = Math.max(4e9, Math.floor(totalmem() / 2));
const REQUEST_TIMEOUT_MS = 3_600_000;
const UPLOADS_AT_ONCE = 8;

export async function startBenchStack(ingestEnvironment: ChildEnvironment): Promise<BenchStack> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  started.defer(async () => await rm(folder, { recursive: true, force: true }));
  const generated = started.use(await createGeneratedStore());
  const story = started.use(
    await startStory({
      clickhouseMemoryBytes: CLICKHOUSE_MEMORY_BYTES,
      controlEnvironment: { SLUICE_ALLOWED_ENDPOINTS: generated.url },
      ingestEnvironment,
    }),
  );
  const { local, customer } = story;
  if (local.clickhouse === undefined) throw new Error("the benchmark loads into its own server");
  const { url, users } = local.clickhouse;
  const clickhouse = createClient({
    url,
    username: users.admin.name,
    password: users.admin.password,
    request_timeout: REQUEST_TIMEOUT_MS,
    // Its errors are thrown as well, and the load balancers that it warns of are not there.
    log: { level: ClickHouseLogLevel.OFF },
  });
  started.defer(async () => await clickhouse.close());
  const s3 = new S3({
    endpoint: local.aws.url,
    region: local.aws.region,
    forcePathStyle: true,
    credentials: local.aws.adminKeys,
  });
  started.defer(async () => s3.destroy());

  let keys: Promise<PgpKeys> | undefined;
  const pgpKeys = async (): Promise<PgpKeys> => {
    keys ??= openPgpKeys();
    return await keys;
  };
  started.defer(async () => await (await keys)?.[Symbol.asyncDispose]());
  let credential: Promise<string> | undefined;
  const createPgpCredential = async (): Promise<string> => {
    const { privateKeyBlock } = await pgpKeys();
    const made = await story.credentials.createCredential({
      credential: { name: "bench keys", kind: { case: "pgp", value: { privateKeyBlock } } },
    });
    return made.credential?.id ?? "";
  };
  const eachFile = async (
    files: readonly DataFile[],
    act: (file: DataFile) => Promise<unknown>,
  ): Promise<void> => {
    const waiting = files.values();
    const worker = async (): Promise<void> => {
      for (const file of waiting) await act(file);
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, worker));
  };

  const running = started.move();
  return {
    story,
    clickhouse,
    generated,
    folder,
    pgpKeys,
    async pgpCredential() {
      credential ??= createPgpCredential();
      return await credential;
    },
    upload: async (prefix, files) =>
      await eachFile(files, async ({ name, path, size }) =>
        s3.putObject({
          Bucket: customer.bucket,
          Key: prefix + name,
          Body: createReadStream(path),
          ContentLength: size,
        }),
      ),
    remove: async (prefix, files) =>
      await eachFile(files, async ({ name }) =>
        s3.deleteObject({ Bucket: customer.bucket, Key: prefix + name }),
      ),
    [Symbol.asyncDispose]: async () => await running.disposeAsync(),
  };
}
