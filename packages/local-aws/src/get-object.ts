import { type ByteRange, parseByteRange } from "./byte-range.ts";
import { checksumHeader } from "./checksums.ts";
import { assertReadConditions, httpDate } from "./conditions.ts";
import { type Exchange, isAllowed, storageOf } from "./exchange.ts";
import type { StoredObject } from "./object-store.ts";
import { S3Error } from "./s3-error.ts";
import { replaceObject, sendObject } from "./send-object.ts";

const OVERRIDES = [
  "content-type",
  "content-language",
  "expires",
  "cache-control",
  "content-disposition",
  "content-encoding",
] as const;

/** GetObject and HeadObject: conditions, one range or part, the version current at this moment. */
export async function getObject(exchange: Exchange): Promise<void> {
  const { request, response, state, subject } = exchange;
  const { objects } = storageOf(exchange);
  const object = currentObject(exchange);
  if (state.faults.fire(subject, ["ignore-conditions"]).length === 0) {
    assertReadConditions(request.headers, object);
  }
  const range =
    state.faults.fire(subject, ["ignore-range"]).length > 0
      ? undefined
      : (partRange(exchange, object) ?? parseByteRange(request.headers.get("range"), object.size));
  const whole: ByteRange = { start: 0, length: object.size };
  const sent = range ?? whole;
  if (request.method === "HEAD") {
    for (const fault of state.faults.fire(subject, ["replace"])) {
      await replaceObject(exchange, object, fault.body);
    }
  }
  response.writeHead(range === undefined ? 200 : 206, {
    ...objectHeaders(exchange, object, range === undefined),
    "content-length": sent.length,
    ...(range && {
      "content-range": `bytes ${range.start}-${range.start + range.length - 1}/${object.size}`,
    }),
  });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const faults = state.faults.fire(subject, ["reset", "short-body", "stall", "replace"]);
  if (faults.length > 0) response.flushHeaders();
  using lease = objects.lease(object);
  await sendObject(exchange, lease, sent, faults);
}

/** The object the exchange names, or the refusal S3 gives: 403 instead of 404 to those who may not list. */
function currentObject(exchange: Exchange): StoredObject {
  const { bucketName, key, query } = exchange;
  const object = storageOf(exchange).objects.index.get(key);
  if (object === undefined) {
    if (!isAllowed(exchange, "s3:ListBucket", bucketName)) {
      throw new S3Error("AccessDenied", "Access Denied");
    }
    throw new S3Error("NoSuchKey", "The specified key does not exist.", { detail: { Key: key } });
  }
  assertVersion(query.get("versionId"), key);
  return object;
}

/** Buckets here are never versioned: their only version is `null`. */
export function assertVersion(versionId: string | undefined, key: string): void {
  if (versionId === undefined || versionId === "null" || versionId === "") return;
  throw new S3Error("NoSuchVersion", "The specified version does not exist.", {
    detail: { Key: key, VersionId: versionId },
  });
}

function partRange(exchange: Exchange, object: StoredObject): ByteRange | undefined {
  const text = exchange.query.get("partNumber");
  if (text === undefined) return undefined;
  const number = Number(text);
  const segment = object.segments[number - 1];
  if (segment === undefined) {
    throw new S3Error("InvalidRange", "The requested partnumber is not satisfiable");
  }
  const before = object.segments.slice(0, number - 1);
  return { start: before.reduce((sum, { size }) => sum + size, 0), length: segment.size };
}

function objectHeaders(
  exchange: Exchange,
  object: StoredObject,
  isWhole: boolean,
): Record<string, string> {
  const { query, request } = exchange;
  const headers: Record<string, string> = {
    "content-type": "binary/octet-stream",
    ...object.headers,
    etag: `"${object.etag}"`,
    "last-modified": httpDate(object.lastModified),
    "accept-ranges": "bytes",
  };
  if (query.has("partNumber") && object.isMultipart) {
    headers["x-amz-mp-parts-count"] = String(object.segments.length);
  }
  for (const name of OVERRIDES) {
    const override = query.get(`response-${name}`);
    if (override !== undefined) headers[name] = override;
  }
  const { checksum } = object;
  const mode = request.headers.get("x-amz-checksum-mode")?.toUpperCase();
  if (checksum !== undefined && isWhole && mode === "ENABLED") {
    headers[checksumHeader(checksum.algorithm)] = checksum.value;
    headers["x-amz-checksum-type"] = checksum.type;
  }
  return headers;
}
