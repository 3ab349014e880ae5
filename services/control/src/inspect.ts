import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import { workerAuthorization } from "./access/worker-key.ts";
import { failureError } from "./stage-failure.ts";

/** Asks an ingest worker to look at buckets, keys and tables. */
export interface Inspector {
  /**
   * Runs a call, which must be repeatable, on the worker that was seen last, or on another when that
   * one does not answer. Throws UNAVAILABLE when none is connected or none answers; a failure that a
   * worker reports is thrown with its StageFailure.
   */
  call<T>(run: InspectCall<T>): Promise<T>;
  /** Closes the connections to workers. */
  close(): void;
}

type InspectCall<T> = (
  client: Client<typeof InspectService>,
  /** To be passed on with the call. */
  options: { readonly timeoutMs: number },
) => Promise<T>;

/** How to find workers, and how long to wait for them. */
export interface InspectorOptions {
  /** Sent with every call: a worker answers nobody else. */
  readonly workerKey: string;
  /** Where live workers serve InspectService, the best first. */
  readonly findUrls: () => Promise<readonly string[]>;
  /** After this time a worker counts as not answering. 30,000 when not set. */
  readonly timeoutMs?: number;
  /** A larger answer is refused. 32 MiB when not set. */
  readonly readMaxBytes?: number;
}

/** Makes the client of InspectService: gRPC, over cleartext HTTP/2 for http addresses. */
export function createInspector(options: InspectorOptions): Inspector {
  const { workerKey, findUrls, timeoutMs = 30_000, readMaxBytes = 32 * 1024 * 1024 } = options;
  const authorized: Interceptor = (next) => async (request) => {
    request.header.set("authorization", workerAuthorization(workerKey));
    return await next(request);
  };
  const sessions = new Map<string, Http2SessionManager>();

  const connect = (url: string): Client<typeof InspectService> => {
    let sessionManager = sessions.get(url);
    if (sessionManager === undefined) {
      // Workers come and go with new addresses; a session that nobody uses closes by itself.
      for (const [old, session] of sessions) {
        if (session.state() === "closed" || session.state() === "error") {
          sessions.delete(old);
        }
      }
      sessionManager = new Http2SessionManager(url, { idleConnectionTimeoutMs: 60_000 });
      sessions.set(url, sessionManager);
    }
    return createClient(
      InspectService,
      createGrpcTransport({
        baseUrl: url,
        sessionManager,
        readMaxBytes,
        interceptors: [authorized],
      }),
    );
  };

  return {
    call: async (run) => {
      let silent: ConnectError | undefined;
      for (const url of await findUrls()) {
        try {
          return await run(connect(url), { timeoutMs });
        } catch (error) {
          const translated = translate(ConnectError.from(error));
          if (translated.code !== Code.Unavailable || translated.details.length > 0) {
            throw translated;
          }
          silent = translated;
        }
      }
      throw silent ?? new ConnectError("no ingest worker is connected", Code.Unavailable);
    },
    close: () => {
      for (const session of sessions.values()) {
        session.abort();
      }
      sessions.clear();
    },
  };
}

/**
 * A worker's error as the caller may see it. Codes that would speak of the caller's own call (its
 * timeout, its rights, a method that is not there) speak of the worker here, and headers stay behind.
 */
function translate(error: ConnectError): ConnectError {
  const failure = error.findDetails(StageFailureSchema)[0];
  if (failure !== undefined) {
    return failureError(failure, error);
  }
  switch (error.code) {
    case Code.InvalidArgument:
    case Code.NotFound:
    case Code.FailedPrecondition:
    case Code.ResourceExhausted:
      return new ConnectError(error.rawMessage, error.code, undefined, undefined, error);
    case Code.Unavailable:
    case Code.DeadlineExceeded:
    case Code.Canceled:
      return unavailable("the ingest worker does not answer", error);
    case Code.Unauthenticated:
      return unavailable("the ingest worker has another worker key than this service", error);
    case Code.Unimplemented:
      return unavailable("the ingest worker is too old for this call", error);
    default:
      return new ConnectError(
        "the ingest worker failed",
        Code.Internal,
        undefined,
        undefined,
        error,
      );
  }
}

function unavailable(message: string, cause: ConnectError): ConnectError {
  return new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
}
