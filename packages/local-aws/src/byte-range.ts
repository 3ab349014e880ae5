import { S3Error } from "./s3-error.ts";

export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/**
 * The one range of a Range header (RFC 9110, section 14). Undefined when the whole object is to be sent: no header,
 * one that is not understood, or several ranges. InvalidRange (416) when it lies outside.
 */
export function parseByteRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    if (length === 0) throw invalidRange(header, size);
    return { start: size - length, length };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= size) throw invalidRange(header, size);
  return { start, length: end - start + 1 };
}

function invalidRange(header: string | undefined, size: number): S3Error {
  return new S3Error("InvalidRange", "The requested range is not satisfiable", {
    detail: { RangeRequested: header ?? "", ActualObjectSize: String(size) },
    headers: { "content-range": `bytes */${size}` },
  });
}
