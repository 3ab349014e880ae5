import { lookup } from "node:dns/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { StageError } from "@sluice/errors";
import { checkedLookup, type Resolve } from "@sluice/outbound";
import type { ListedObject, ManifestObject } from "@sluice/schema";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { createAccessWatch } from "./access-watch.ts";
import { assertBucket } from "./bucket-name.ts";
import { type ConnectionCheck, testConnection } from "./connection-test.ts";
import { createHostRule } from "./endpoint.ts";
import { type HeadOptions, headObject, type ObjectHead } from "./head.ts";
import { type ListPage, type ListRequest, listAll, listPage } from "./list.ts";
import { type S3SourceOptions, toLimits } from "./options.ts";
import { type Plan, type PlanRequest, planObjects } from "./plan.ts";
import { type ReadOptions, readObject } from "./read.ts";
import { createSession } from "./session.ts";
import type { Store } from "./store.ts";
import { type Uploads, uploadsInto } from "./uploads.ts";

/**
 * Names below `localhost` are this machine (RFC 6761, 6.3), which not every resolver knows: an access point's ARN is
 * addressed as a host name below the store's.
 */
const resolveBySystem: Resolve = async (host) =>
  await lookup(host.endsWith(".localhost") ? "localhost" : host, { all: true });

/** One customer's bucket, read by one session that is kept fresh. Close it when done. */
export interface S3Source extends AsyncDisposable {
  /** One page of a listing. */
  list(request?: ListRequest): Promise<ListPage>;
  /** Every object under a prefix. */
  listAll(request?: Omit<ListRequest, "pageToken">): AsyncIterable<ListedObject>;
  /** The facts of one object; `list.file_not_found` when there is none. */
  head(key: string, options?: HeadOptions): Promise<ObjectHead>;
  /** Freezes what a run will read. */
  plan(request: PlanRequest): Promise<Plan>;
  /** The bytes of exactly the version of the manifest; see `readObject`. */
  read(object: ManifestObject, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** Writes into the bucket: for one of the platform's own. */
  readonly uploads: Uploads;
  /** Checks the connection, one thing after another. */
  test(signal?: AbortSignal): Promise<readonly ConnectionCheck[]>;
  /**
   * Aborted with `connect.access_revoked` once the customer withdrew access after bytes had come; reads that run
   * end with it by themselves.
   */
  readonly revoked: AbortSignal;
  /** Closes every socket; whatever is on its way, or asked for later, rejects. */
  close(): Promise<void>;
}

/**
 * Opens a customer's bucket; sends nothing yet. Throws what the options alone tell:
 * `connect.invalid_bucket_name`, `connect.invalid_credentials` (ARNs, external id, an access point
 * with an access key), `connect.endpoint_refused`.
 */
export function createS3Source(options: S3SourceOptions): S3Source {
  const { connection, platform = {} } = options;
  const limits = toLimits(options);
  const bucket = assertBucket(connection.bucket);
  if (bucket.kind !== "bucket" && connection.access.kind !== "role") {
    const message = "an access point is only read through a role";
    throw new StageError("connect", "invalid_credentials", message, { bucket: bucket.name });
  }
  // A paused reader keeps its socket: with a maximum, paused readers could keep all others waiting.
  const agentOptions = {
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: 16,
    lookup: checkedLookup(
      createHostRule(platform, connection.endpoint),
      options.resolve ?? resolveBySystem,
    ),
  };
  const agents = [new HttpAgent(agentOptions), new HttpsAgent(agentOptions)] as const;
  const requestHandler = new NodeHttpHandler({
    httpAgent: agents[0],
    httpsAgent: agents[1],
    connectionTimeout: limits.connectTimeoutMs,
    // Who waits for an answer, and for how long, is watched where it is read.
    requestTimeout: 0,
    socketTimeout: 0,
  });
  const session = createSession({
    bucket,
    connection,
    platform,
    limits,
    requestHandler,
    key: options.onlyKey,
    platformSessions: options.platformSessions,
  });
  const watch = createAccessWatch({ bucket, session, limits });
  const store: Store = { bucket, session, limits, watch };
  const closing = new AbortController();
  const untilClosed = <T extends { readonly signal?: AbortSignal }>(
    request: T | undefined,
  ): T & { readonly signal: AbortSignal } => {
    const given = request?.signal;
    const signal = given === undefined ? closing.signal : AbortSignal.any([given, closing.signal]);
    return { ...request, signal } as T & { readonly signal: AbortSignal };
  };
  const close = async (): Promise<void> => {
    watch.close();
    // Before the sockets: a read would take their end for a break and ask for the rest.
    closing.abort(new Error("the source was closed"));
    for (const agent of agents) agent.destroy();
  };
  return {
    list: async (request) => await listPage(store, untilClosed(request)),
    listAll: (request) => listAll(store, untilClosed(request)),
    head: async (key, headOptions) => await headObject(store, key, untilClosed(headOptions)),
    plan: async (request) => await planObjects(store, untilClosed(request)),
    read: (object, readOptions) => readObject(store, object, untilClosed(readOptions)),
    uploads: uploadsInto(store),
    test: async (signal) => {
      const options = untilClosed(signal === undefined ? {} : { signal });
      return await testConnection(store, connection.access, options.signal);
    },
    revoked: watch.signal,
    close,
    [Symbol.asyncDispose]: close,
  };
}
