import { tooLarge } from "./fault.ts";
import type { AvroLimits } from "./limits.ts";
import type { Prepared } from "./prepare-schema.ts";

/** What a value means beyond its type (specification, "Logical Types"). */
export type Logical =
  | { readonly kind: "none" | "date" | "uuid" | "duration" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  /** `digits`: of a second's fraction in a tick, 3, 6 or 9. */
  | { readonly kind: "time"; readonly digits: number }
  | { readonly kind: "timestamp"; readonly digits: number; readonly isLocal: boolean };

const NONE: Logical = { kind: "none" };

const TIMES: Readonly<Record<string, Logical>> = {
  "int date": { kind: "date" },
  "int time-millis": { kind: "time", digits: 3 },
  "long time-micros": { kind: "time", digits: 6 },
  "long timestamp-millis": { kind: "timestamp", digits: 3, isLocal: false },
  "long timestamp-micros": { kind: "timestamp", digits: 6, isLocal: false },
  "long timestamp-nanos": { kind: "timestamp", digits: 9, isLocal: false },
  "long local-timestamp-millis": { kind: "timestamp", digits: 3, isLocal: true },
  "long local-timestamp-micros": { kind: "timestamp", digits: 6, isLocal: true },
  "long local-timestamp-nanos": { kind: "timestamp", digits: 9, isLocal: true },
  "string uuid": { kind: "uuid" },
};

/** One that is unknown, or not meant for the type, is none: readers ignore it, says the specification. */
export function readLogical(
  type: "int" | "long" | "string" | "bytes" | "fixed",
  attributes: Prepared | undefined,
  limits: AvroLimits,
  size = 0,
): Logical {
  const { logicalType, precision, scale = 0 } = attributes ?? {};
  if (typeof logicalType !== "string") return NONE;
  if (type === "fixed" && logicalType === "uuid" && size === 16) return { kind: "uuid" };
  if (type === "fixed" && logicalType === "duration" && size === 12) return { kind: "duration" };
  if (logicalType === "decimal" && (type === "bytes" || type === "fixed")) {
    if (!isWhole(precision) || !isWhole(scale) || precision < 1 || scale > precision) return NONE;
    if (precision > limits.maxDecimalDigits) {
      const what = "digits of a decimal";
      throw tooLarge(what, "maxDecimalDigits", limits.maxDecimalDigits, { byteOffset: 0 });
    }
    return { kind: "decimal", precision, scale };
  }
  const key = `${type} ${logicalType}`;
  return Object.hasOwn(TIMES, key) ? (TIMES[key] ?? NONE) : NONE;
}

const isWhole = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
