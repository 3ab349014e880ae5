import { createHash } from "node:crypto";

/** A place in a trace, as W3C Trace Context writes it: 32 and 16 hexadecimal digits. */
export interface TraceIds {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

/**
 * The place of a thing that is known by its name everywhere and outlives processes, as a workflow does: whoever knows
 * the name knows the trace, without a word having been passed on.
 */
export function idsOf(name: string): TraceIds {
  const digits = createHash("sha256").update(name).digest("hex");
  return { traceId: digits.slice(0, 32), spanId: digits.slice(32, 48), isSampled: true };
}

/** The header's value; version 00. */
export function toTraceParent({ traceId, spanId, isSampled }: TraceIds): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}

/** Reads the header's value; undefined when it is none, whatever it is instead. */
export function parseTraceParent(text: string | null | undefined): TraceIds | undefined {
  const [, version, traceId, spanId, flags] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(text ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "ff" || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
