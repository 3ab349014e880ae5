import { type Checksum, checksumElement, checksumHeader } from "./checksums.ts";
import { assertReadConditions, assertWriteConditions } from "./conditions.ts";
import {
  assertAllowed,
  type Exchange,
  existingBucket,
  isAllowed,
  sendXml,
  storageOf,
} from "./exchange.ts";
import { assertVersion } from "./get-object.ts";
import { decode } from "./http-request.ts";
import type { StoredObject } from "./object-store.ts";
import { openBody, requestedAlgorithm } from "./request-body.ts";
import { S3Error } from "./s3-error.ts";
import { field, s3Document } from "./xml.ts";

const MAX_KEY_BYTES = 1_024;

/** PutObject: the body goes to disk as it arrives and becomes current when every promised digest has held. */
export async function putObject(exchange: Exchange): Promise<void> {
  const { request, response, authentication, key, state } = exchange;
  const { objects } = storageOf(exchange);
  assertKey(key);
  assertWriteConditions(request.headers, objects.index.get(key));
  const body = openBody(request, response, authentication, requestedAlgorithm(request));
  const segment = await objects.write(body.chunks);
  let checksum: Checksum | undefined;
  let etag: string;
  try {
    const digest = body.finish();
    ({ md5: etag, checksum } = digest);
    // Another writer may have come first while the body was on its way.
    assertWriteConditions(request.headers, objects.index.get(key));
    objects.commit({
      key,
      size: digest.size,
      etag,
      lastModified: new Date(state.now()).toISOString(),
      headers: storedHeaders(request.headers),
      ...(checksum && { checksum }),
      isMultipart: false,
      segments: [segment],
    });
  } catch (error) {
    objects.discard([segment]);
    throw error;
  }
  sendXml(exchange, 200, undefined, { etag: `"${etag}"`, ...checksumHeaders(checksum) });
}

/** CopyObject: the copy shares the source's bytes on disk, and keeps its ETag even when that is of a multipart upload. */
export async function copyObject(exchange: Exchange): Promise<void> {
  const { request, state, key, bucketName } = exchange;
  const target = storageOf(exchange).objects;
  assertKey(key);
  const { bucket, object } = copySource(exchange);
  const replacesHeaders = request.headers.get("x-amz-metadata-directive") === "REPLACE";
  if (bucket === bucketName && object.key === key && !replacesHeaders) {
    throw new S3Error(
      "InvalidRequest",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  assertReadConditions(request.headers, object, "x-amz-copy-source-");
  assertWriteConditions(request.headers, target.index.get(key));
  const source = state.storage(bucket).objects;
  const segments = object.segments.map((segment) => target.link(segment, source));
  const lastModified = new Date(state.now()).toISOString();
  target.commit({
    ...object,
    key,
    lastModified,
    headers: replacesHeaders ? storedHeaders(request.headers) : object.headers,
    segments,
  });
  sendXml(
    exchange,
    200,
    s3Document(
      "CopyObjectResult",
      field("LastModified", lastModified),
      field("ETag", `"${object.etag}"`),
      object.checksum && field(checksumElement(object.checksum.algorithm), object.checksum.value),
    ),
  );
}

/** The object that x-amz-copy-source names, if the caller may read it. */
export function copySource(exchange: Exchange): { bucket: string; object: StoredObject } {
  const header = exchange.request.headers.get("x-amz-copy-source") ?? "";
  const [path = "", versionId] = header.split("?versionId=");
  const [named = "", ...rest] = decode(path).replace(/^\//, "").split("/");
  const { accounts } = exchange.state;
  const bucket = accounts.accessPoint(named)?.bucket ?? named;
  const key = rest.join("/");
  existingBucket(exchange, bucket);
  assertAllowed(exchange, "s3:GetObject", bucket, key);
  const object = exchange.state.storage(bucket).objects.index.get(key);
  if (object === undefined) {
    throw isAllowed(exchange, "s3:ListBucket", bucket)
      ? new S3Error("NoSuchKey", "The specified key does not exist.", { detail: { Key: key } })
      : new S3Error("AccessDenied", "Access Denied");
  }
  assertVersion(versionId, key);
  return { bucket, object };
}

/** The request's headers that belong to the object and come back with it. */
export function storedHeaders(headers: ReadonlyMap<string, string>): Record<string, string> {
  const stored: Record<string, string> = {};
  for (const [name, value] of headers) {
    const isKept =
      name.startsWith("x-amz-meta-") ||
      /^(content-(type|language|disposition)|cache-control|expires)$/.test(name);
    if (isKept) stored[name] = value;
  }
  // aws-chunked is how the body travelled, not what the object is.
  const encodings = (headers.get("content-encoding") ?? "")
    .split(",")
    .map((encoding) => encoding.trim())
    .filter((encoding) => encoding !== "" && encoding !== "aws-chunked");
  if (encodings.length > 0) stored["content-encoding"] = encodings.join(",");
  return stored;
}

export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {};
  return {
    [checksumHeader(checksum.algorithm)]: checksum.value,
    "x-amz-checksum-type": checksum.type,
  };
}

export function assertKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes <= MAX_KEY_BYTES) return;
  throw new S3Error("KeyTooLongError", "Your key is too long", {
    detail: { Size: String(bytes), MaxSizeAllowed: String(MAX_KEY_BYTES) },
  });
}
