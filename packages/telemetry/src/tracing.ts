import type { Attributes, SpanKind } from "@opentelemetry/api";
import type { TraceIds } from "./trace-parent.ts";

/** One thing that took time. */
export interface Span {
  readonly ids: TraceIds;
  /** Ends it, badly when there is an error: its code, never its message, which may quote a customer's data. */
  end(facts?: {
    readonly error?: string;
    readonly attributes?: Attributes;
    /** Milliseconds since 1970, when it has ended before now. */
    readonly endTime?: number;
  }): void;
}

export interface SpanOptions {
  readonly kind: "server" | "client" | "internal";
  /** What it is part of; a trace of its own when not set. */
  readonly parent?: TraceIds | undefined;
  /** Where others already know it to be, if they do. */
  readonly ids?: TraceIds;
  /** Ids and numbers. Never names, keys or values that customers chose. */
  readonly attributes?: Attributes;
  /** Milliseconds since 1970, when it has begun before now. */
  readonly startTime?: number;
}

/** Where spans go. */
export interface Tracing {
  readonly isOn: boolean;
  begin(name: string, options: SpanOptions): Span;
  /** Sends what is left. Never rejects: a collector that is away is no reason to stay. */
  close(): Promise<void>;
}

const NOWHERE: Span = {
  ids: { traceId: "0".repeat(32), spanId: "0".repeat(16), isSampled: false },
  end: () => undefined,
};

export const NO_TRACING: Tracing = {
  isOn: false,
  begin: () => NOWHERE,
  close: async () => undefined,
};

/** A collector that does not answer in this time is away. */
const EXPORT_LIMIT_MS = 2_000;

/**
 * Sends spans by OTLP over HTTP, as JSON, to `<endpoint>/v1/traces`; headers come from OTEL_EXPORTER_OTLP_HEADERS, which
 * the exporter reads itself. Nothing of OpenTelemetry is loaded without an endpoint.
 */
export async function startTracing(options: {
  /** As in OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:4318`. */
  readonly endpoint: string | undefined;
  readonly service: string;
}): Promise<Tracing> {
  if (options.endpoint === undefined) return NO_TRACING;
  const [api, { resourceFromAttributes }, sdk, { OTLPTraceExporter }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/exporter-trace-otlp-http"),
  ]);
  const random = new sdk.RandomIdGenerator();
  let given: TraceIds | undefined;
  const provider = new sdk.BasicTracerProvider({
    // The service's name alone: detectors would tell of hosts and command lines.
    resource: resourceFromAttributes({ "service.name": options.service }),
    idGenerator: {
      generateTraceId: () => given?.traceId ?? random.generateTraceId(),
      generateSpanId: () => given?.spanId ?? random.generateSpanId(),
    },
    spanProcessors: [
      new sdk.BatchSpanProcessor(
        new OTLPTraceExporter({
          url: `${options.endpoint.replace(/\/+$/, "")}/v1/traces`,
          timeoutMillis: EXPORT_LIMIT_MS,
        }),
      ),
    ],
  });
  const tracer = provider.getTracer("sluice");
  const kinds: Readonly<Record<SpanOptions["kind"], SpanKind>> = {
    server: api.SpanKind.SERVER,
    client: api.SpanKind.CLIENT,
    internal: api.SpanKind.INTERNAL,
  };
  return {
    isOn: true,
    begin(name, { kind, parent, ids, attributes, startTime }) {
      const within =
        parent === undefined
          ? api.ROOT_CONTEXT
          : api.trace.setSpanContext(api.ROOT_CONTEXT, {
              traceId: parent.traceId,
              spanId: parent.spanId,
              traceFlags: parent.isSampled ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE,
              isRemote: true,
            });
      given = ids;
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          ...(attributes === undefined ? {} : { attributes }),
          ...(startTime === undefined ? {} : { startTime: new Date(startTime) }),
        },
        within,
      );
      given = undefined;
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        ids: { traceId, spanId, isSampled: (traceFlags & api.TraceFlags.SAMPLED) !== 0 },
        end(facts = {}) {
          if (facts.attributes !== undefined) span.setAttributes(facts.attributes);
          if (facts.error !== undefined) {
            span.setAttribute("error.type", facts.error);
            span.setStatus({ code: api.SpanStatusCode.ERROR });
          }
          span.end(facts.endTime === undefined ? undefined : new Date(facts.endTime));
        },
      };
    },
    close: async () => await provider.shutdown().catch(() => undefined),
  };
}
