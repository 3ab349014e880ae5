/** A time of day as `HH:mm:ss` and its fraction of `digits` digits; one beyond a day has hours of 24 and more. */
export function timeText(ticks: bigint, digits: number): string {
  const unit = 10n ** BigInt(digits);
  const size = ticks < 0n ? -ticks : ticks;
  const seconds = size / unit;
  const two = (value: bigint): string => value.toString().padStart(2, "0");
  const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n].map(two).join(":");
  return `${ticks < 0n ? "-" : ""}${clock}.${(size % unit).toString().padStart(digits, "0")}`;
}

/** Days since 1970 as `yyyy-mm-dd`; undefined beyond the years 0 to 9999. */
export function dateText(days: number): string | undefined {
  return isoText(days * 86_400)?.slice(0, 10);
}

/** Ticks since 1970 as `yyyy-mm-ddTHH:mm:ss` and a fraction of `digits` digits; undefined as in `dateText`. */
export function timestampText(ticks: bigint, digits: number): string | undefined {
  const unit = 10n ** BigInt(digits);
  // Division cuts towards zero; a moment before 1970 belongs to the second before.
  const rest = ((ticks % unit) + unit) % unit;
  const text = isoText(Number((ticks - rest) / unit));
  return text === undefined ? undefined : `${text}.${rest.toString().padStart(digits, "0")}`;
}

function isoText(seconds: number): string | undefined {
  const moment = new Date(seconds * 1000);
  if (Number.isNaN(moment.getTime())) return undefined;
  const text = moment.toISOString();
  return /^\d{4}-/.test(text) ? text.slice(0, 19) : undefined;
}

/** Months, days and milliseconds, each for itself, in ISO 8601's words: `P1M2DT3.004S`. */
export function durationText(months: number, days: number, millis: number): string {
  const fraction = String(millis % 1000).padStart(3, "0");
  return `P${months}M${days}DT${Math.floor(millis / 1000)}.${fraction}S`;
}

/** 16 bytes as a UUID is usually written. */
export function uuidText(bytes: Uint8Array, at: number): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + at, 16).toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...parts, hex.slice(20)].join("-");
}
