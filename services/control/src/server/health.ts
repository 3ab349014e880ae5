import { create, type DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@sluice/api/grpc/health/v1/health_pb";

/** What health depends on. */
export interface HealthOptions {
  /** The services that are served. */
  readonly services: readonly DescService[];
  /** Resolves when the state can be read, rejects when it can't. */
  readonly probe: () => Promise<void>;
  /** Aborts when the server stops. */
  readonly shutdown: AbortSignal;
}

/**
 * grpc.health.v1. The empty name stands for the server. All services share one state, so they are
 * all serving or none is.
 */
export function healthRoutes(router: ConnectRouter, options: HealthOptions): void {
  const names = new Set(["", ...options.services.map((service) => service.typeName)]);
  const status = async (): Promise<Status> => {
    if (options.shutdown.aborted) {
      return Status.NOT_SERVING;
    }
    try {
      await options.probe();
      return Status.SERVING;
    } catch {
      // Why is in the log of the calls that failed by it; health tells strangers nothing else.
      return Status.NOT_SERVING;
    }
  };
  router.service(Health, {
    check: async (request) => {
      if (!names.has(request.service)) {
        throw new ConnectError("unknown service", Code.NotFound);
      }
      return { status: await status() };
    },
    watch: async function* (request, context) {
      const isKnown = names.has(request.service);
      yield create(HealthCheckResponseSchema, {
        status: isKnown ? await status() : Status.SERVICE_UNKNOWN,
      });
      await aborted(context.signal);
      if (isKnown && options.shutdown.aborted) {
        yield create(HealthCheckResponseSchema, { status: Status.NOT_SERVING });
      }
      // A stream that just ended would look as if there were nothing more to know.
      throw new ConnectError("the server is stopping", Code.Unavailable);
    },
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}
