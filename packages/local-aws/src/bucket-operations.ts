import { type Exchange, existingBucket, sendXml, storageOf } from "./exchange.ts";
import { readDocument } from "./request-body.ts";
import { S3Error } from "./s3-error.ts";
import { element, field, parseXml, s3Document, text } from "./xml.ts";

export async function listBuckets(exchange: Exchange): Promise<void> {
  const { accounts } = exchange.state;
  const buckets = accounts
    .buckets()
    .map((bucket) =>
      element(
        "Bucket",
        field("Name", bucket.name),
        field("CreationDate", bucket.createdAt),
        field("BucketRegion", bucket.region),
      ),
    );
  const owner = element("Owner", field("ID", accounts.accountId));
  sendXml(
    exchange,
    200,
    s3Document("ListAllMyBucketsResult", owner, element("Buckets", ...buckets)),
  );
}

export async function createBucket(exchange: Exchange): Promise<void> {
  const { state, request, response, authentication, bucketName } = exchange;
  assertBucketName(bucketName);
  const document = await readDocument(request, response, authentication);
  const region =
    document === ""
      ? undefined
      : text(parseXml(document, "CreateBucketConfiguration"), "LocationConstraint");
  if (state.accounts.bucket(bucketName) !== undefined) {
    throw new S3Error(
      "BucketAlreadyOwnedByYou",
      "Your previous request to create the named bucket succeeded and you already own it.",
      { detail: { BucketName: bucketName } },
    );
  }
  const createdAt = new Date(state.now()).toISOString();
  state.accounts.putBucket(bucketName, region || state.accounts.region, createdAt);
  sendXml(exchange, 200, undefined, { location: `/${bucketName}` });
}

export async function headBucket(exchange: Exchange): Promise<void> {
  const bucket = existingBucket(exchange);
  sendXml(exchange, 200, undefined, {
    "x-amz-bucket-region": bucket.region,
    "x-amz-access-point-alias": String(exchange.accessPoint !== undefined),
  });
}

export async function deleteBucket(exchange: Exchange): Promise<void> {
  const { objects } = storageOf(exchange);
  if (objects.index.size > 0) {
    throw new S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", {
      detail: { BucketName: exchange.bucketName },
    });
  }
  exchange.state.accounts.deleteBucket(exchange.bucketName);
  exchange.state.dropStorage(exchange.bucketName);
  sendXml(exchange, 204, undefined);
}

export async function getBucketLocation(exchange: Exchange): Promise<void> {
  const { region } = existingBucket(exchange);
  // us-east-1 is the empty constraint.
  const constraint = region === "us-east-1" ? "" : region;
  sendXml(exchange, 200, s3Document("LocationConstraint", constraint));
}

export async function getBucketVersioning(exchange: Exchange): Promise<void> {
  existingBucket(exchange);
  sendXml(exchange, 200, s3Document("VersioningConfiguration"));
}

/** Throws InvalidBucketName unless the name follows "General purpose bucket naming rules". */
export function assertBucketName(name: string): void {
  const isValid =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !/\.\.|^\d+\.\d+\.\d+\.\d+$|^xn--|^sthree-|-s3alias$|--ol-s3$|--x-s3$/.test(name);
  if (isValid) return;
  throw new S3Error("InvalidBucketName", "The specified bucket is not valid.", {
    detail: { BucketName: name },
  });
}
