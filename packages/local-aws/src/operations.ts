import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from "./bucket-operations.ts";
import { deleteObject, deleteObjects } from "./delete-objects.ts";
import type { Exchange } from "./exchange.ts";
import { getObject } from "./get-object.ts";
import type { HttpRequest } from "./http-request.ts";
import { listObjectsV1, listObjectsV2 } from "./list-objects.ts";
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
  uploadPartCopy,
} from "./multipart-operations.ts";
import { copyObject, putObject } from "./put-object.ts";
import { S3Error } from "./s3-error.ts";

export interface Operation {
  readonly name: string;
  /** What the caller's policy must allow; undefined where the operation asks for each key itself. */
  readonly action: string | undefined;
  readonly run: (exchange: Exchange) => Promise<void>;
}

// `<method> <what the path names>[?<subresource>]`
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET service": operation("ListBuckets", "s3:ListAllMyBuckets", listBuckets),
  "GET bucket": operation("ListObjects", "s3:ListBucket", listObjectsV1),
  "GET bucket?list-type": operation("ListObjectsV2", "s3:ListBucket", listObjectsV2),
  "GET bucket?location": operation("GetBucketLocation", "s3:GetBucketLocation", getBucketLocation),
  "GET bucket?versioning": operation(
    "GetBucketVersioning",
    "s3:GetBucketVersioning",
    getBucketVersioning,
  ),
  "GET bucket?uploads": operation(
    "ListMultipartUploads",
    "s3:ListBucketMultipartUploads",
    listMultipartUploads,
  ),
  "PUT bucket": operation("CreateBucket", "s3:CreateBucket", createBucket),
  "HEAD bucket": operation("HeadBucket", "s3:ListBucket", headBucket),
  "DELETE bucket": operation("DeleteBucket", "s3:DeleteBucket", deleteBucket),
  "POST bucket?delete": operation("DeleteObjects", undefined, deleteObjects),
  "GET object": operation("GetObject", "s3:GetObject", getObject),
  "HEAD object": operation("HeadObject", "s3:GetObject", getObject),
  "PUT object": operation("PutObject", "s3:PutObject", putObject),
  "PUT object?copy": operation("CopyObject", "s3:PutObject", copyObject),
  "DELETE object": operation("DeleteObject", "s3:DeleteObject", deleteObject),
  "POST object?uploads": operation("CreateMultipartUpload", "s3:PutObject", createMultipartUpload),
  "PUT object?uploadId": operation("UploadPart", "s3:PutObject", uploadPart),
  "PUT object?uploadId&copy": operation("UploadPartCopy", "s3:PutObject", uploadPartCopy),
  "POST object?uploadId": operation(
    "CompleteMultipartUpload",
    "s3:PutObject",
    completeMultipartUpload,
  ),
  "DELETE object?uploadId": operation(
    "AbortMultipartUpload",
    "s3:AbortMultipartUpload",
    abortMultipartUpload,
  ),
  "GET object?uploadId": operation("ListParts", "s3:ListMultipartUploadParts", listParts),
};

// Subresources choose an operation; those that no operation above has are refused, not ignored.
const SUBRESOURCES = [
  "accelerate",
  "acl",
  "analytics",
  "attributes",
  "cors",
  "delete",
  "encryption",
  "inventory",
  "legal-hold",
  "lifecycle",
  "list-type",
  "location",
  "logging",
  "metrics",
  "notification",
  "object-lock",
  "ownershipControls",
  "policy",
  "policyStatus",
  "publicAccessBlock",
  "replication",
  "requestPayment",
  "restore",
  "retention",
  "select",
  "tagging",
  "torrent",
  "uploadId",
  "uploads",
  "versioning",
  "versions",
  "website",
] as const;

/** The operation that a request asks for; NotImplemented when this server has none like it. */
export function findOperation(
  request: HttpRequest,
  query: ReadonlyMap<string, string>,
  target: "service" | "bucket" | "object",
): Operation {
  const parts = SUBRESOURCES.filter((name) => query.has(name)).map(String);
  if (request.method === "PUT" && request.headers.has("x-amz-copy-source")) parts.push("copy");
  const suffix = parts.length > 0 ? `?${parts.join("&")}` : "";
  const found = OPERATIONS[`${request.method} ${target}${suffix}`];
  if (found !== undefined) return found;
  throw new S3Error(
    "NotImplemented",
    `${request.method} ${target}${suffix} is not a part of this server.`,
  );
}

function operation(
  name: string,
  action: string | undefined,
  run: (exchange: Exchange) => Promise<void>,
): Operation {
  return { name, action, run };
}
