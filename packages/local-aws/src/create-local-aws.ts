import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { openAccounts } from "./accounts.ts";
import { serveAdmin } from "./admin-api.ts";
import { claimedService } from "./authenticate.ts";
import { assertBucketName } from "./bucket-operations.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import type { BucketStorage, ServerState } from "./exchange.ts";
import { createFaultBoard } from "./faults.ts";
import { readHttpRequest } from "./http-request.ts";
import type { LocalAws, LocalAwsOptions } from "./local-aws.ts";
import { openBucketStore } from "./object-store.ts";
import { serveKms } from "./serve-kms.ts";
import { serveS3 } from "./serve-s3.ts";
import { serveSts } from "./serve-sts.ts";
import { createStatistics } from "./statistics.ts";
import { openUploadStore } from "./upload-store.ts";

// A session token and a key of 1,024 escaped bytes do not fit Node's default of 16 KiB.
const MAX_HEADER_BYTES = 65_536;

/** Starts S3 and STS in this process; fails when another server uses the data directory. */
export async function createLocalAws(options: LocalAwsOptions): Promise<LocalAws> {
  await using starting = new AsyncDisposableStack();
  const lock = starting.use(await lockDataDir(options.dataDir));
  const state = openState(options);
  const adminToken = randomBytes(24).toString("base64url");
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: 0 });
  const local = createHandle(state, server, lock, adminToken);
  const onRequest = (message: IncomingMessage, response: ServerResponse): void => {
    void serve(state, local, message, response);
  };
  server.on("request", onRequest);
  // Answered when the body is first read, so that a refused upload is never sent.
  server.on("checkContinue", onRequest);
  server.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  // From here on the handle's close() gives the directory back.
  starting.move();
  return local;
}

async function serve(
  state: ServerState,
  local: LocalAws,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const requestId = randomUUID().replaceAll("-", "").slice(0, 16).toUpperCase();
  response.setHeader("x-amz-request-id", requestId);
  response.setHeader("server", "sluice-local-aws");
  response.setHeader("date", new Date(state.now()).toUTCString());
  if (message.url?.startsWith("/_")) return serveAdmin(local, message, response);
  let request: ReturnType<typeof readHttpRequest>;
  try {
    request = readHttpRequest(message);
  } catch {
    response.writeHead(400, { "content-type": "application/xml" });
    response.end(
      "<Error><Code>InvalidURI</Code><Message>Couldn't parse the specified URI.</Message></Error>",
    );
    return;
  }
  if (claimedService(request) === "kms") return serveKms(state, request, response);
  if (claimedService(request) === "sts") return serveSts(state, request, response);
  return serveS3(state, request, response, requestId);
}

function createHandle(
  state: ServerState,
  server: Server,
  lock: AsyncDisposable,
  adminToken: string,
): LocalAws {
  const { accounts, faults, statistics } = state;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    faults.clear();
    server.closeAllConnections();
    await closed;
    await lock[Symbol.asyncDispose]();
  };
  return {
    get url() {
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    region: accounts.region,
    accountId: accounts.accountId,
    adminKeys: {
      accessKeyId: accounts.root.accessKeyId,
      secretAccessKey: accounts.root.secretAccessKey,
    },
    adminToken,
    createBucket: async (name, { region = accounts.region } = {}) => {
      assertBucketName(name);
      accounts.putBucket(name, region, new Date(state.now()).toISOString());
    },
    createAccessPoint: async ({ name, bucket, isVpcOnly = false }) => {
      const { arn, alias } = accounts.putAccessPoint(name, bucket, isVpcOnly);
      return { arn, alias };
    },
    createUser: async (input) => {
      const { accessKeyId, secretAccessKey, arn } = accounts.putUser(input);
      return { accessKeyId, secretAccessKey, arn };
    },
    putRole: async (input) => ({ arn: accounts.putRole(input).arn }),
    deleteRole: async (arn) => accounts.deleteRole(arn),
    faults: {
      add: async (fault) => faults.add(fault),
      clear: async (id) => faults.clear(id),
      counts: async () => faults.counts(),
    },
    bytesSent: async (bucket, key) => statistics.ofObject(bucket, key).bytesSent,
    objectStatistics: async (bucket, key) => statistics.ofObject(bucket, key),
    requestCounts: async () => statistics.requestCounts(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function openState(options: LocalAwsOptions): ServerState {
  const region = options.region ?? "us-east-1";
  const accounts = openAccounts(options.dataDir, region, options.accountId ?? "111122223333");
  const buckets = new Map<string, BucketStorage>();
  const directoryOf = (bucket: string): string => join(options.dataDir, "buckets", bucket);
  const storage = (bucket: string): BucketStorage => {
    const opened = buckets.get(bucket);
    if (opened !== undefined) return opened;
    mkdirSync(directoryOf(bucket), { recursive: true });
    const uploads = openUploadStore(directoryOf(bucket));
    const objects = openBucketStore(directoryOf(bucket), uploads.partFiles());
    const made = { uploads, objects };
    buckets.set(bucket, made);
    return made;
  };
  for (const { name } of accounts.buckets()) storage(name);
  return {
    accounts,
    faults: createFaultBoard(),
    statistics: createStatistics(),
    now: options.now ?? Date.now,
    storage,
    dropStorage: (bucket) => {
      buckets.delete(bucket);
      rmSync(directoryOf(bucket), { recursive: true, force: true });
    },
  };
}
