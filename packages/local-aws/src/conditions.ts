import type { StoredObject } from "./object-store.ts";
import { S3Error } from "./s3-error.ts";

/** Conditional requests (RFC 9110, section 13) as S3 answers them: 412 or 304. */

type Headers = ReadonlyMap<string, string>;

/** Checks If-Match, If-None-Match and the two dates for a read. */
export function assertReadConditions(headers: Headers, object: StoredObject, prefix = ""): void {
  const ifMatch = headers.get(`${prefix}if-match`);
  const ifNoneMatch = headers.get(`${prefix}if-none-match`);
  if (ifMatch !== undefined) {
    if (!namesEtag(ifMatch, object.etag)) throw preconditionFailed("If-Match");
  } else if (isAfter(object, headers.get(`${prefix}if-unmodified-since`))) {
    throw preconditionFailed("If-Unmodified-Since");
  }
  const isSame =
    ifNoneMatch === undefined
      ? isAfter(object, headers.get(`${prefix}if-modified-since`)) === false
      : namesEtag(ifNoneMatch, object.etag);
  if (!isSame) return;
  if (prefix !== "") throw preconditionFailed("If-None-Match");
  throw new S3Error("NotModified", "Not Modified", {
    headers: { etag: `"${object.etag}"`, "last-modified": httpDate(object.lastModified) },
  });
}

/** Checks If-Match and If-None-Match for a write onto what is there now. */
export function assertWriteConditions(headers: Headers, current: StoredObject | undefined): void {
  const ifMatch = headers.get("if-match");
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== undefined && current !== undefined && namesEtag(ifNoneMatch, current.etag)) {
    throw preconditionFailed("If-None-Match");
  }
  if (ifMatch === undefined) return;
  if (current === undefined) {
    throw new S3Error("NoSuchKey", "The specified key does not exist.");
  }
  if (!namesEtag(ifMatch, current.etag)) throw preconditionFailed("If-Match");
}

/** The date form of HTTP headers, from an ISO date. */
export function httpDate(iso: string): string {
  return new Date(iso).toUTCString();
}

function namesEtag(list: string, etag: string): boolean {
  return list
    .split(",")
    .map((tag) => tag.trim().replace(/^W\//, "").replace(/^"|"$/g, ""))
    .some((tag) => tag === "*" || tag === etag);
}

// HTTP dates have whole seconds. Undefined when there is no usable date to compare with.
function isAfter(object: StoredObject, date: string | undefined): boolean | undefined {
  const bound = Date.parse(date ?? "");
  if (Number.isNaN(bound)) return undefined;
  return Math.floor(Date.parse(object.lastModified) / 1_000) * 1_000 > bound;
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error(
    "PreconditionFailed",
    "At least one of the pre-conditions you specified did not hold",
    { detail: { Condition: condition } },
  );
}
