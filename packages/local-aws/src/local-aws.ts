import type { Fault } from "./faults.ts";
import type { PolicyDocument } from "./policy.ts";
import type { ObjectStatistics } from "./statistics.ts";

/** The handle of a running local S3 and STS, in this process or in another. */

export interface LocalAwsOptions {
  /** Objects and configuration live here and survive a restart. One server at a time per directory. */
  readonly dataDir: string;
  /** 0 or absent: chosen by the system. */
  readonly port?: number;
  readonly host?: "127.0.0.1";
  /** Region of new buckets and of the endpoint; fixed by the first start of the directory. Default us-east-1. */
  readonly region?: string;
  /** Account of the buckets, users and (unless said otherwise) roles; fixed by the first start. */
  readonly accountId?: string;
  /** The server's clock, in milliseconds since the epoch; default the system's. */
  readonly now?: () => number;
}

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface CreateUserInput {
  readonly name: string;
  /** The server's own account when left out. */
  readonly accountId?: string;
  /** Nothing is allowed when left out. */
  readonly policy?: PolicyDocument;
  /** Fixed keys instead of random ones. */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

export interface PutRoleInput {
  readonly name: string;
  readonly accountId?: string;
  readonly trustPolicy: PolicyDocument;
  readonly policy: PolicyDocument;
  /** 3,600 to 43,200; default 3,600. */
  readonly maxSessionSeconds?: number;
}

export interface LocalAws extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`: S3 in path style, and STS. */
  readonly url: string;
  readonly region: string;
  readonly accountId: string;
  /** The root user of the account: everything but AssumeRole. */
  readonly adminKeys: AccessKey;
  /** Bearer token of the admin paths (`/_faults` and its like). */
  readonly adminToken: string;
  /** Idempotent. A region other than the server's makes the bucket answer 301 to requests signed for the server's. */
  createBucket(name: string, options?: { readonly region?: string }): Promise<void>;
  createAccessPoint(input: {
    readonly name: string;
    readonly bucket: string;
    /** Refuses every request, as an access point does to those outside its VPC. */
    readonly isVpcOnly?: boolean;
  }): Promise<{ readonly arn: string; readonly alias: string }>;
  /** Idempotent by name: keys stay, the policy becomes the given one. */
  createUser(input: CreateUserInput): Promise<AccessKey & { readonly arn: string }>;
  /** Makes or changes a role; sessions already issued follow the new policy at once. */
  putRole(input: PutRoleInput): Promise<{ readonly arn: string }>;
  /** Sessions of the role are refused from now on (InvalidAccessKeyId). */
  deleteRole(arn: string): Promise<void>;
  readonly faults: {
    add(fault: Fault): Promise<string>;
    clear(id?: string): Promise<void>;
    /** How often each fault fired, by id. */
    counts(): Promise<Record<string, number>>;
  };
  /** Bytes of this object's bodies that the operating system took. */
  bytesSent(bucket: string, key: string): Promise<number>;
  objectStatistics(bucket: string, key: string): Promise<ObjectStatistics>;
  /** Requests so far, by operation. */
  requestCounts(): Promise<Record<string, number>>;
  close(): Promise<void>;
}
