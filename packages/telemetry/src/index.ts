export { createLog } from "./log.ts";
export { createRegistry, type Registry } from "./metrics.ts";
export { type ProbeServer, serveProbes } from "./probe-server.ts";
export { type Readiness, remembered, within } from "./readiness.ts";
export { idsOf, parseTraceParent, type TraceIds, toTraceParent } from "./trace-parent.ts";
export { NO_TRACING, type Span, type SpanOptions, startTracing, type Tracing } from "./tracing.ts";
