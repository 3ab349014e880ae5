import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  ConnectionCheck_Name as Name,
  ConnectionCheck_Outcome as Outcome,
} from "@sluice/api/control/v1/credential_pb";
import { Stage, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import type { Connection, FeedVersion } from "@sluice/api/ingest/v1/task_pb";

/** Stands for an ingest worker, which is another service: it answers over a real socket. */
export interface InspectDouble {
  readonly url: string;
  /** What it was asked to look at, newest last. */
  readonly connections: Connection[];
  readonly feeds: FeedVersion[];
  /** By the key of an object that it looked at: whose PGP secrets came with the call, in their order. */
  readonly secretsFor: ReadonlyMap<string, readonly string[]>;
  close(): Promise<void>;
}

/** What control and workers show each other in these tests. */
export const WORKER_KEY = "the-worker-key-of-the-tests-of-control";

/** The passphrase that opens every key of the double. */
export const RIGHT_PASSPHRASE = "canary-passphrase-5e1d";

/** Buckets whose name begins so let nobody in. */
export const CLOSED = "closed-";

/** Listing this prefix is a fault of the worker's program. */
export const CRASH = "crash/";

export async function startInspectDouble(): Promise<InspectDouble> {
  const connections: Connection[] = [];
  const feeds: FeedVersion[] = [];
  const secretsFor = new Map<string, readonly string[]>();
  const seeFeed = (feed: FeedVersion | undefined): void => {
    if (feed !== undefined) {
      feeds.push(feed);
    }
  };
  const server = createServer(
    connectNodeAdapter({
      interceptors: [
        (next) => async (request) => {
          if (request.header.get("authorization") !== `Worker ${WORKER_KEY}`) {
            throw new ConnectError("the worker key is needed here", Code.Unauthenticated);
          }
          return await next(request);
        },
      ],
      routes: (router) =>
        router.service(InspectService, {
          testConnection: ({ connection }) => {
            if (connection !== undefined) {
              connections.push(connection);
            }
            const isOpen = !connection?.bucket.startsWith(CLOSED);
            return {
              checks: isOpen
                ? [{ name: Name.ASSUME_ROLE, outcome: Outcome.OK }]
                : [
                    {
                      name: Name.ASSUME_ROLE,
                      outcome: Outcome.FAILED,
                      failure: {
                        stage: Stage.CONNECT,
                        code: "invalid_credentials",
                        message: "the role refuses the external id",
                      },
                    },
                    { name: Name.LIST, outcome: Outcome.SKIPPED },
                  ],
            };
          },
          listObjects: ({ connection, prefix }) => {
            if (prefix === CRASH) {
              throw new Error("a detail that is nobody's business");
            }
            if (connection?.bucket.startsWith(CLOSED)) {
              throw failure(Stage.CONNECT, "access_denied", "the role may not list the bucket");
            }
            return { objects: [{ key: `${prefix}a.csv`, size: 5_000_000_000n }] };
          },
          inspectPgpKeys: ({ keys }) => {
            if (keys?.passphrase !== RIGHT_PASSPHRASE) {
              throw failure(Stage.DECRYPT, "bad_passphrase", "the passphrase opens no key");
            }
            const told = /key id ([0-9A-F]+)/.exec(keys.privateKeyBlock)?.[1];
            const keyIds = told === undefined ? ["0123", "4567"] : [told];
            return { fingerprints: ["ABCD0123"], keyIds };
          },
          findPgpRecipients: ({ key }) => {
            const keyIds = [...key.matchAll(/to-([0-9A-F]+)/g)].flatMap(([, id]) => id ?? []);
            return { keyIds, others: key.includes("to-others") };
          },
          inferFileSettings: ({ key, pgpKeys }) => {
            secretsFor.set(key, Object.keys(pgpKeys));
            return { inferred: {} };
          },
          previewObject: ({ key, pgpKeys }) => {
            secretsFor.set(key, Object.keys(pgpKeys));
            return { preview: {} };
          },
          describeTable: ({ feed }) => {
            seeFeed(feed);
            return {
              domainTable: {
                feedId: feed?.feedId ?? "",
                database: feed?.source ?? "",
                table: feed?.name ?? "",
                exists: true,
                rows: 9_007_199_254_740_993n,
              },
            };
          },
          checkCustomQuery: () => ({ columns: [{ name: "id" }] }),
          readRows: ({ feed, maxRows }) => {
            seeFeed(feed);
            return { rows: [{ values: { id: "1", maxRows } }] };
          },
        }),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sessions = new Set<import("node:http2").Http2Session>();
  server.on("session", (session) => sessions.add(session));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    connections,
    feeds,
    secretsFor,
    close: async () => {
      for (const session of sessions) {
        session.destroy();
      }
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function failure(stage: Stage, code: string, message: string): ConnectError {
  const value = create(StageFailureSchema, { stage, code, message });
  return new ConnectError(message, Code.FailedPrecondition, undefined, [
    { desc: StageFailureSchema, value },
  ]);
}
