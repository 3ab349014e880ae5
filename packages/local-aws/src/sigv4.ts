import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** AWS Signature Version 4: canonical requests, signing keys, signatures of requests, chunks and trailers. */

export const EMPTY_SHA256: string = createHash("sha256").digest("hex");

export interface CredentialScope {
  /** yyyymmdd */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** What a verified request leaves behind for the signatures of its chunks. */
export interface SigningContext {
  readonly key: Buffer;
  /** yyyymmddThhmmssZ */
  readonly timestamp: string;
  readonly scope: CredentialScope;
  /** The request's own signature, from which the chain of chunk signatures starts. */
  readonly seedSignature: string;
}

function scopeText(scope: CredentialScope): string {
  return `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
}

export function signingKey(secretAccessKey: string, scope: CredentialScope): Buffer {
  const date = hmac(`AWS4${secretAccessKey}`, scope.date);
  return hmac(hmac(hmac(date, scope.region), scope.service), "aws4_request");
}

/** Percent-encoding of RFC 3986: everything but unreserved characters. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export interface CanonicalInput {
  readonly method: string;
  /** The path, decoded once. */
  readonly path: string;
  /** Decoded names and values; the signature itself left out. */
  readonly query: readonly (readonly [string, string])[];
  /** Lower-case names to values, of the signed headers alone. */
  readonly headers: readonly (readonly [string, string])[];
  readonly payloadHash: string;
  /** S3 encodes the path once; every other service encodes it twice. */
  readonly encodesPathTwice: boolean;
}

export function canonicalRequest(input: CanonicalInput): string {
  const once = input.path.split("/").map(uriEncode).join("/");
  const path = input.encodesPathTwice ? once.split("/").map(uriEncode).join("/") : once;
  const query = input.query
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
  const headers = [...input.headers].sort(([a], [b]) => compare(a, b));
  return [
    input.method,
    path,
    query,
    ...headers.map(([name, value]) => `${name}:${value.trim().replace(/\s+/g, " ")}`),
    "",
    headers.map(([name]) => name).join(";"),
    input.payloadHash,
  ].join("\n");
}

export function requestSignature(
  key: Buffer,
  timestamp: string,
  scope: CredentialScope,
  canonical: string,
): { signature: string; stringToSign: string } {
  const stringToSign = [
    "AWS4-HMAC-SHA256",
    timestamp,
    scopeText(scope),
    createHash("sha256").update(canonical).digest("hex"),
  ].join("\n");
  return { signature: hmac(key, stringToSign).toString("hex"), stringToSign };
}

/** The signature of one chunk of an aws-chunked body; `chunkHash` is the hexadecimal SHA-256 of its data. */
export function chunkSignature(
  context: SigningContext,
  previous: string,
  chunkHash: string,
): string {
  return chained(context, "AWS4-HMAC-SHA256-PAYLOAD", previous, [EMPTY_SHA256, chunkHash]);
}

/** The signature of the trailing headers, which are hashed as `name:value\n` lines. */
export function trailerSignature(
  context: SigningContext,
  previous: string,
  trailerLines: string,
): string {
  const hash = createHash("sha256").update(trailerLines).digest("hex");
  return chained(context, "AWS4-HMAC-SHA256-TRAILER", previous, [hash]);
}

/** Compares two signatures without telling by its time how far they agree. */
export function signaturesEqual(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Milliseconds since the epoch of `yyyymmddThhmmssZ`; NaN when it is not one. */
export function parseTimestamp(timestamp: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp);
  if (match === null) return Number.NaN;
  const [, year, month, day, hour, minute, second] = match;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function chained(
  context: SigningContext,
  algorithm: string,
  previous: string,
  hashes: readonly string[],
): string {
  const lines = [algorithm, context.timestamp, scopeText(context.scope), previous, ...hashes];
  return hmac(context.key, lines.join("\n")).toString("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
