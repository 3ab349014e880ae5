import type { ServerResponse } from "node:http";
import type { AccessPoint, Accounts, Bucket } from "./accounts.ts";
import type { Authentication } from "./authenticate.ts";
import type { FaultBoard, FaultSubject } from "./faults.ts";
import type { HttpRequest } from "./http-request.ts";
import type { BucketStore } from "./object-store.ts";
import { evaluateIdentity, principalArn } from "./principal.ts";
import { S3Error } from "./s3-error.ts";
import type { Statistics } from "./statistics.ts";
import type { UploadStore } from "./upload-store.ts";

/** Everything the server holds while it runs. */
export interface ServerState {
  readonly accounts: Accounts;
  readonly faults: FaultBoard;
  readonly statistics: Statistics;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Opens, or returns, the storage of an existing bucket. */
  storage(bucket: string): BucketStorage;
  /** Deletes an empty bucket's directory. */
  dropStorage(bucket: string): void;
}

export interface BucketStorage {
  readonly objects: BucketStore;
  readonly uploads: UploadStore;
}

/** One authenticated request to S3 and its answer. */
export interface Exchange {
  readonly state: ServerState;
  readonly request: HttpRequest;
  readonly response: ServerResponse;
  readonly authentication: Authentication;
  readonly operation: string;
  readonly query: ReadonlyMap<string, string>;
  /** The bucket named, whether it exists or not; an access point's alias is resolved already. */
  readonly bucketName: string;
  readonly key: string;
  readonly accessPoint: AccessPoint | undefined;
  readonly subject: FaultSubject;
}

/** The bucket of the exchange; NoSuchBucket when there is none. */
export function existingBucket(exchange: Exchange, name: string = exchange.bucketName): Bucket {
  const bucket = exchange.state.accounts.bucket(name);
  if (bucket !== undefined) return bucket;
  throw new S3Error("NoSuchBucket", "The specified bucket does not exist", {
    detail: { BucketName: name },
  });
}

export function storageOf(exchange: Exchange): BucketStorage {
  return exchange.state.storage(existingBucket(exchange).name);
}

/** Whether the caller may do `action` on the exchange's bucket, or on `key` in it. */
export function isAllowed(
  exchange: Exchange,
  action: string,
  bucket: string,
  key?: string,
): boolean {
  const resources = [resourceArn(`arn:aws:s3:::${bucket}`, "/", key)];
  const point = exchange.accessPoint;
  if (point !== undefined && point.bucket === bucket) {
    resources.push(resourceArn(point.arn, "/object/", key));
  }
  const context = {
    "s3:prefix": exchange.query.get("prefix"),
    "s3:delimiter": exchange.query.get("delimiter"),
    "s3:max-keys": exchange.query.get("max-keys"),
  };
  const { principal } = exchange.authentication;
  return evaluateIdentity(principal, { action, resources, context }) === "allow";
}

/** Throws AccessDenied unless the caller may do `action`. */
export function assertAllowed(
  exchange: Exchange,
  action: string,
  bucket: string = exchange.bucketName,
  key?: string,
): void {
  if (isAllowed(exchange, action, bucket, key)) return;
  const resource = resourceArn(`arn:aws:s3:::${bucket}`, "/", key);
  throw new S3Error(
    "AccessDenied",
    `User: ${principalArn(exchange.authentication.principal)} is not authorized to perform: ${action} on resource: "${resource}"`,
  );
}

/** Sends an XML document, or an answer without a body. */
export function sendXml(
  exchange: Exchange,
  status: number,
  document: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { response } = exchange;
  if (document === undefined) {
    // 204 must not carry a length.
    response.writeHead(status, status === 204 ? headers : { "content-length": "0", ...headers });
    response.end();
    return;
  }
  const body = Buffer.from(document);
  response.writeHead(status, {
    "content-type": "application/xml",
    "content-length": body.length,
    ...headers,
  });
  response.end(body);
}

function resourceArn(bucketArn: string, separator: string, key: string | undefined): string {
  return key === undefined ? bucketArn : `${bucketArn}${separator}${key}`;
}
