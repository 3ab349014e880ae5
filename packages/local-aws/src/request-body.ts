import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Authentication } from "./authenticate.ts";
import { decodeAwsChunked } from "./aws-chunked.ts";
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  checksumHeader,
  parseChecksumAlgorithm,
  startChecksum,
} from "./checksums.ts";
import type { HttpRequest } from "./http-request.ts";
import { S3Error } from "./s3-error.ts";

/** The largest object of a single upload, in bytes (5 GiB). */
const MAX_SINGLE_UPLOAD_BYTES = 5 * 1024 ** 3;
const MAX_DOCUMENT_BYTES = 2 * 1024 ** 2;

/** What was learnt of a body when its last byte had passed. */
interface BodyDigest {
  readonly size: number;
  /** Hexadecimal. */
  readonly md5: string;
  readonly checksum?: Checksum;
}

export interface RequestBody {
  /** The data alone, framing taken off, as it arrives. */
  readonly chunks: AsyncIterable<Buffer>;
  /** To be called after the last chunk; throws when the length or any promised digest is wrong. */
  finish(): BodyDigest;
}

/**
 * Opens the body of an upload: plain, unsigned or aws-chunked. Content-MD5, x-amz-content-sha256 and any
 * x-amz-checksum-* header or trailer are verified.
 * @param algorithm the checksum to compute even if the request brings none
 */
export function openBody(
  request: HttpRequest,
  response: ServerResponse,
  authentication: Authentication,
  algorithm?: ChecksumAlgorithm,
): RequestBody {
  const { payloadHash, signing } = authentication;
  const isChunked = payloadHash.startsWith("STREAMING-");
  const expectsTrailers = payloadHash.endsWith("-TRAILER");
  const length = declaredLength(request, isChunked);
  if (length > MAX_SINGLE_UPLOAD_BYTES) {
    throw new S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
  }
  const trailers = new Map<string, string>();
  const arriving = arrivingBytes(request, response);
  const source = isChunked
    ? decodeAwsChunked(arriving, {
        trailers,
        expectsTrailers,
        ...(!payloadHash.startsWith("STREAMING-UNSIGNED") && { signing }),
      })
    : arriving;

  const promised = promisedAlgorithm(request);
  const used = promised ?? algorithm;
  const checksum = used && startChecksum(used);
  const sha256 = /^[0-9a-f]{64}$/.test(payloadHash) ? createHash("sha256") : undefined;
  const md5 = createHash("md5");
  let size = 0;

  return {
    chunks: (async function* () {
      for await (const chunk of source) {
        size += chunk.length;
        if (size > length) throw incomplete();
        md5.update(chunk);
        sha256?.update(chunk);
        checksum?.update(chunk);
        yield chunk;
      }
    })(),
    finish: () => {
      if (size !== length) throw incomplete();
      if (sha256 !== undefined && sha256.digest("hex") !== payloadHash) {
        throw new S3Error(
          "XAmzContentSHA256Mismatch",
          "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
      }
      const md5Digest = md5.digest();
      assertMd5(request.headers.get("content-md5"), md5Digest);
      if (used === undefined || checksum === undefined) {
        return { size, md5: md5Digest.toString("hex") };
      }
      const value = checksum.digest().toString("base64");
      if (promised !== undefined) {
        const name = checksumHeader(promised);
        assertChecksum(promised, request.headers.get(name) ?? trailers.get(name), value);
      }
      return {
        size,
        md5: md5Digest.toString("hex"),
        checksum: { algorithm: used, value, type: "FULL_OBJECT" },
      };
    },
  };
}

/** Reads a small body (an XML document) whole, verified like any other. */
export async function readDocument(
  request: HttpRequest,
  response: ServerResponse,
  authentication: Authentication,
): Promise<string> {
  if (!request.headers.has("content-length") && !request.headers.has("transfer-encoding")) {
    return "";
  }
  const body = openBody(request, response, authentication);
  const text = await readText(body.chunks);
  body.finish();
  return text;
}

/** Reads a form or document of at most 2 MiB as text. */
export async function readText(source: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > MAX_DOCUMENT_BYTES) {
      throw new S3Error("MalformedXML", "The request body is larger than 2 MiB.");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The raw bytes of a request; leaving early keeps the socket, on which the refusal is still to be written. */
export async function* arrivingBytes(
  request: HttpRequest,
  response: ServerResponse,
): AsyncIterable<Buffer> {
  if (request.headers.get("expect")?.toLowerCase() === "100-continue") response.writeContinue();
  try {
    for await (const chunk of request.message.iterator({ destroyOnReturn: false })) {
      yield chunk as Buffer;
    }
  } catch (cause) {
    throw incomplete(cause);
  }
}

function declaredLength(request: HttpRequest, isChunked: boolean): number {
  const text = request.headers.get(isChunked ? "x-amz-decoded-content-length" : "content-length");
  const length = Number(text);
  if (text !== undefined && Number.isSafeInteger(length) && length >= 0) return length;
  throw new S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.");
}

function promisedAlgorithm(request: HttpRequest): ChecksumAlgorithm | undefined {
  const trailer = request.headers.get("x-amz-trailer")?.trim().toLowerCase();
  const found = CHECKSUM_ALGORITHMS.filter(
    (algorithm) =>
      request.headers.has(checksumHeader(algorithm)) || trailer === checksumHeader(algorithm),
  );
  if (found.length > 1) {
    throw new S3Error(
      "InvalidRequest",
      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    );
  }
  return found[0];
}

function assertMd5(promised: string | undefined, digest: Buffer): void {
  if (promised === undefined) return;
  const expected = Buffer.from(promised, "base64");
  if (expected.length !== digest.length) {
    throw new S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.");
  }
  if (!expected.equals(digest)) {
    throw new S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.");
  }
}

function assertChecksum(
  algorithm: ChecksumAlgorithm,
  promised: string | undefined,
  value: string,
): void {
  if (promised === undefined) {
    throw new S3Error("MalformedXML", `The trailer ${checksumHeader(algorithm)} is missing.`, {
      status: 400,
    });
  }
  if (Buffer.from(promised, "base64").length !== Buffer.from(value, "base64").length) {
    throw new S3Error(
      "InvalidRequest",
      `Value for ${checksumHeader(algorithm)} header is invalid.`,
    );
  }
  if (promised !== value) {
    throw new S3Error(
      "BadDigest",
      `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    );
  }
}

/** The algorithm that x-amz-sdk-checksum-algorithm or x-amz-checksum-algorithm names, if any. */
export function requestedAlgorithm(request: HttpRequest): ChecksumAlgorithm | undefined {
  return parseChecksumAlgorithm(
    request.headers.get("x-amz-checksum-algorithm") ??
      request.headers.get("x-amz-sdk-checksum-algorithm"),
  );
}

function incomplete(cause?: unknown): S3Error {
  return new S3Error(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
    { cause },
  );
}
