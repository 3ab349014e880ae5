import { createHash } from "node:crypto";
import { parseByteRange } from "./byte-range.ts";
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  checksumElement,
  checksumHeader,
  joinChecksums,
  parseChecksumAlgorithm,
  startChecksum,
} from "./checksums.ts";
import { assertReadConditions, assertWriteConditions } from "./conditions.ts";
import { type Exchange, sendXml, storageOf } from "./exchange.ts";
import { assertKey, checksumHeaders, copySource, storedHeaders } from "./put-object.ts";
import { readObject } from "./read-object.ts";
import { openBody, readDocument } from "./request-body.ts";
import { S3Error } from "./s3-error.ts";
import type { Upload, UploadPart } from "./upload-store.ts";
import { element, field, parseXml, records, s3Document, text, type XmlRecord } from "./xml.ts";

const MIN_PART_BYTES = 5 * 1024 ** 2;
const MAX_PARTS = 10_000;
const MAX_LISTED_PARTS = 1_000;

export async function createMultipartUpload(exchange: Exchange): Promise<void> {
  const { request, key, bucketName, state } = exchange;
  assertKey(key);
  const algorithm = parseChecksumAlgorithm(request.headers.get("x-amz-checksum-algorithm"));
  const asked = request.headers.get("x-amz-checksum-type");
  const type =
    asked === "FULL_OBJECT" || (asked === undefined && algorithm === "crc64nvme")
      ? "FULL_OBJECT"
      : "COMPOSITE";
  const upload = storageOf(exchange).uploads.create({
    key,
    initiated: new Date(state.now()).toISOString(),
    headers: storedHeaders(request.headers),
    ...(algorithm && { checksumAlgorithm: algorithm, checksumType: type }),
  });
  sendXml(
    exchange,
    200,
    s3Document(
      "InitiateMultipartUploadResult",
      field("Bucket", bucketName),
      field("Key", key),
      field("UploadId", upload.id),
    ),
    algorithm && {
      "x-amz-checksum-algorithm": algorithm.toUpperCase(),
      "x-amz-checksum-type": type,
    },
  );
}

export async function uploadPart(exchange: Exchange): Promise<void> {
  const { request, response, authentication, state } = exchange;
  const { objects, uploads } = storageOf(exchange);
  const upload = existingUpload(exchange);
  const number = partNumber(exchange);
  const body = openBody(request, response, authentication, upload.checksumAlgorithm);
  const segment = await objects.write(body.chunks);
  let part: UploadPart;
  try {
    const { md5, checksum } = body.finish();
    // The upload may have been aborted or completed while the part was on its way.
    existingUpload(exchange);
    const lastModified = new Date(state.now()).toISOString();
    part = { number, segment, md5, lastModified, ...(checksum && { checksum }) };
    const before = uploads.putPart(upload.id, part);
    if (before !== undefined) objects.discard([before.segment]);
  } catch (error) {
    objects.discard([segment]);
    throw error;
  }
  sendXml(exchange, 200, undefined, {
    etag: `"${part.md5}"`,
    ...checksumHeaders(part.checksum),
  });
}

/** UploadPartCopy: a part made of a range of an object. */
export async function uploadPartCopy(exchange: Exchange): Promise<void> {
  const { request, state } = exchange;
  const { objects, uploads } = storageOf(exchange);
  const upload = existingUpload(exchange);
  const number = partNumber(exchange);
  const { bucket, object } = copySource(exchange);
  assertReadConditions(request.headers, object, "x-amz-copy-source-");
  const range = parseByteRange(request.headers.get("x-amz-copy-source-range"), object.size);
  using lease = state.storage(bucket).objects.lease(object);
  const md5 = createHash("md5");
  const algorithm = upload.checksumAlgorithm;
  const sum = algorithm && startChecksum(algorithm);
  const segment = await objects.write(
    (async function* () {
      for await (const bytes of readObject(lease, range ?? { start: 0, length: object.size })) {
        md5.update(bytes);
        sum?.update(bytes);
        // Copied, because the writer gathers pieces while the reader uses its buffers again.
        yield Buffer.from(bytes);
      }
    })(),
  );
  const part: UploadPart = {
    number,
    segment,
    md5: md5.digest("hex"),
    lastModified: new Date(state.now()).toISOString(),
    ...(algorithm &&
      sum && {
        checksum: { algorithm, value: sum.digest().toString("base64"), type: "FULL_OBJECT" },
      }),
  };
  const before = uploads.putPart(upload.id, part);
  if (before !== undefined) objects.discard([before.segment]);
  sendXml(
    exchange,
    200,
    s3Document(
      "CopyPartResult",
      field("LastModified", part.lastModified),
      field("ETag", `"${part.md5}"`),
      part.checksum && field(checksumElement(part.checksum.algorithm), part.checksum.value),
    ),
  );
}

/** CompleteMultipartUpload: the parts' files become the object's segments. */
export async function completeMultipartUpload(exchange: Exchange): Promise<void> {
  const { request, response, authentication, state, bucketName, key } = exchange;
  const { objects, uploads } = storageOf(exchange);
  const document = await readDocument(request, response, authentication);
  const upload = existingUpload(exchange);
  const listed = records(parseXml(document, "CompleteMultipartUpload"), "Part");
  const parts = chosenParts(upload, listed);
  assertWriteConditions(request.headers, objects.index.get(key));
  const checksum = joinedChecksum(exchange, upload, parts);
  const md5 = createHash("md5");
  for (const part of parts) md5.update(Buffer.from(part.md5, "hex"));
  const etag = `${md5.digest("hex")}-${parts.length}`;
  objects.commit({
    key,
    size: parts.reduce((sum, part) => sum + part.segment.size, 0),
    etag,
    lastModified: new Date(state.now()).toISOString(),
    headers: upload.headers,
    ...(checksum && { checksum }),
    isMultipart: true,
    segments: parts.map((part) => part.segment),
  });
  uploads.remove(upload.id);
  const unused = [...upload.parts.values()].filter((part) => !parts.includes(part));
  objects.discard(unused.map((part) => part.segment));
  sendXml(
    exchange,
    200,
    s3Document(
      "CompleteMultipartUploadResult",
      field("Location", `/${bucketName}/${key}`),
      field("Bucket", bucketName),
      field("Key", key),
      field("ETag", `"${etag}"`),
      checksum && field(checksumElement(checksum.algorithm), checksum.value),
      field("ChecksumType", checksum?.type),
    ),
  );
}

export async function abortMultipartUpload(exchange: Exchange): Promise<void> {
  const { objects, uploads } = storageOf(exchange);
  const upload = existingUpload(exchange);
  uploads.remove(upload.id);
  objects.discard([...upload.parts.values()].map((part) => part.segment));
  sendXml(exchange, 204, undefined);
}

export async function listParts(exchange: Exchange): Promise<void> {
  const { bucketName, key, query } = exchange;
  const upload = existingUpload(exchange);
  const after = Number(query.get("part-number-marker") ?? 0);
  const asked = Number(query.get("max-parts") ?? MAX_LISTED_PARTS);
  const limit = Math.min(Number.isInteger(asked) ? asked : MAX_LISTED_PARTS, MAX_LISTED_PARTS);
  const rest = [...upload.parts.values()]
    .filter((part) => part.number > after)
    .sort((a, b) => a.number - b.number);
  const page = rest.slice(0, limit);
  sendXml(
    exchange,
    200,
    s3Document(
      "ListPartsResult",
      field("Bucket", bucketName),
      field("Key", key),
      field("UploadId", upload.id),
      field("PartNumberMarker", after),
      field("NextPartNumberMarker", page.at(-1)?.number ?? 0),
      field("MaxParts", limit),
      field("IsTruncated", rest.length > page.length),
      page.map((part) =>
        element(
          "Part",
          field("PartNumber", part.number),
          field("LastModified", part.lastModified),
          field("ETag", `"${part.md5}"`),
          field("Size", part.segment.size),
          part.checksum ? field(checksumElement(part.checksum.algorithm), part.checksum.value) : "",
        ),
      ),
    ),
  );
}

export async function listMultipartUploads(exchange: Exchange): Promise<void> {
  const { bucketName, query } = exchange;
  const prefix = query.get("prefix") ?? "";
  const uploads = storageOf(exchange)
    .uploads.all()
    .filter((upload) => upload.key.startsWith(prefix))
    .map((upload) =>
      element(
        "Upload",
        field("Key", upload.key),
        field("UploadId", upload.id),
        field("StorageClass", "STANDARD"),
        field("Initiated", upload.initiated),
      ),
    );
  sendXml(
    exchange,
    200,
    s3Document(
      "ListMultipartUploadsResult",
      field("Bucket", bucketName),
      field("Prefix", prefix),
      field("MaxUploads", uploads.length),
      field("IsTruncated", false),
      uploads,
    ),
  );
}

function existingUpload(exchange: Exchange): Upload {
  const upload = storageOf(exchange).uploads.get(exchange.query.get("uploadId") ?? "");
  if (upload !== undefined && upload.key === exchange.key) return upload;
  throw new S3Error(
    "NoSuchUpload",
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
  );
}

function partNumber(exchange: Exchange): number {
  const number = Number(exchange.query.get("partNumber"));
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return number;
  throw new S3Error(
    "InvalidArgument",
    "Part number must be an integer between 1 and 10000, inclusive",
    { detail: { ArgumentName: "partNumber" } },
  );
}

function chosenParts(upload: Upload, listed: readonly XmlRecord[]): UploadPart[] {
  if (listed.length === 0) {
    throw new S3Error("MalformedXML", "You must specify at least one part");
  }
  const parts: UploadPart[] = [];
  for (const record of listed) {
    const number = Number(text(record, "PartNumber"));
    if (number <= (parts.at(-1)?.number ?? 0)) {
      throw new S3Error("InvalidPartOrder", "The list of parts was not in ascending order.");
    }
    const part = upload.parts.get(number);
    const etag = text(record, "ETag")?.replace(/^"|"$/g, "");
    if (part === undefined || part.md5 !== etag || !agreesWith(record, part.checksum)) {
      throw new S3Error("InvalidPart", "One or more of the specified parts could not be found.", {
        detail: { UploadId: upload.id, PartNumber: String(number) },
      });
    }
    parts.push(part);
  }
  const small = parts.slice(0, -1).find((part) => part.segment.size < MIN_PART_BYTES);
  if (small !== undefined) {
    throw new S3Error(
      "EntityTooSmall",
      "Your proposed upload is smaller than the minimum allowed size",
      {
        detail: {
          PartNumber: String(small.number),
          ProposedSize: String(small.segment.size),
          MinSizeAllowed: String(MIN_PART_BYTES),
        },
      },
    );
  }
  return parts;
}

function agreesWith(record: XmlRecord, checksum: Checksum | undefined): boolean {
  return CHECKSUM_ALGORITHMS.every((algorithm) => {
    const stated = text(record, checksumElement(algorithm));
    if (stated === undefined || checksum?.algorithm !== algorithm) return true;
    return stated === checksum.value;
  });
}

function joinedChecksum(
  exchange: Exchange,
  upload: Upload,
  parts: readonly UploadPart[],
): Checksum | undefined {
  const { checksumAlgorithm, checksumType = "COMPOSITE" } = upload;
  if (checksumAlgorithm === undefined) return undefined;
  const sums = parts.map((part) => ({
    value: part.checksum?.algorithm === checksumAlgorithm ? part.checksum.value : "",
    size: part.segment.size,
  }));
  if (sums.some((sum) => sum.value === "")) return undefined;
  const joined = joinChecksums(checksumAlgorithm, checksumType, sums);
  const promised = exchange.request.headers.get(checksumHeader(checksumAlgorithm));
  if (promised === undefined || promised === joined.value) return joined;
  throw new S3Error(
    "BadDigest",
    `The ${checksumAlgorithm.toUpperCase()} you specified did not match the calculated checksum.`,
  );
}
