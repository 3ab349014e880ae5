import type { AllowedHosts, Resolve } from "@sluice/outbound";
import type { PlatformSessions } from "./platform-sessions.ts";

/** How a customer lets us read. */
export type Access =
  | {
      readonly kind: "role";
      /** The customer's role, the one that may read the bucket. */
      readonly targetRoleArn: string;
      /** Sent with every AssumeRole of the target role. */
      readonly externalId: string;
      /** Our own role in between: the one that the customer's trust policy names. */
      readonly platformRoleArn?: string;
      /** What the customer's CloudTrail shows as the session's name; tenant and run. */
      readonly sessionName: string;
    }
  | {
      readonly kind: "key";
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      readonly sessionToken?: string;
    }
  /** As the platform itself: for buckets of its own. */
  | { readonly kind: "platform" };

/** Where a customer's objects lie, and by which right they are read. */
export interface Connection {
  /** A bucket name, a bucket ARN, or the ARN or alias of an access point. */
  readonly bucket: string;
  /** The bucket's region. Default: the platform's. */
  readonly region?: string;
  /** An S3-compatible store's address (http or https); addressed path-style. Default: AWS. */
  readonly endpoint?: string;
  readonly access: Access;
}

/** What the operator of this installation decides. */
export interface Platform {
  /** Address of STS. Default: AWS, in the region of the bucket. */
  readonly stsEndpoint?: string;
  /** Address of S3 for connections that name none. Default: AWS. */
  readonly s3Endpoint?: string;
  /** Hosts of connections' endpoints that may be called although they are not public: names or addresses. Default: none. */
  readonly allowedHosts?: AllowedHosts;
  /** Default: us-east-1. */
  readonly region?: string;
  /** The base identity. Default: what the SDK's provider chain finds (environment, instance role, ...). */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

/** What `createS3Source` takes. */
export interface S3SourceOptions {
  readonly connection: Connection;
  readonly platform?: Platform;
  /** The only object that will be read: a role's session may then read no other. Default: any. */
  readonly onlyKey?: string;
  /** Sessions of the platform's own roles, for sources that follow each other. Default: each source begins its own. */
  readonly platformSessions?: PlatformSessions;
  /** How names become addresses, which are checked before anything is sent there. Default: the system's resolver. */
  readonly resolve?: Resolve;
  /**
   * Milliseconds that an answer may give nothing while somebody waits for it, before its socket is
   * destroyed and the rest is asked for again. A reader that pauses does not count. Default: 30,000.
   */
  readonly idleTimeoutMs?: number;
  /** Milliseconds for a connection to come up. Default: 5,000. */
  readonly connectTimeoutMs?: number;
  /**
   * Tries of one request, or of one stretch of an object without a single byte of progress, before
   * its failure is given up to the caller. Default: 6.
   */
  readonly maxAttempts?: number;
  /** Milliseconds: the longest first wait between two tries; it doubles with each. Default: 200. */
  readonly backoffBaseMs?: number;
  /** Milliseconds: no wait between two tries is longer. Default: 20,000. */
  readonly backoffMaxMs?: number;
  /**
   * Milliseconds between two looks whether access still holds, from the first byte of an object until the source
   * is closed. A withdrawal is noticed after at most 1.25 times as long. Default: 15,000.
   */
  readonly accessCheckMs?: number;
  /** Seconds that a session of the target role lives: 900 is the least STS gives. Default: 900. */
  readonly sessionSeconds?: number;
}

/** The options with every default filled in. */
export interface Limits {
  readonly idleTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly maxAttempts: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly accessCheckMs: number;
  readonly sessionSeconds: number;
}

export function toLimits(options: Partial<Limits>): Limits {
  return {
    idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    maxAttempts: options.maxAttempts ?? 6,
    backoffBaseMs: options.backoffBaseMs ?? 200,
    backoffMaxMs: options.backoffMaxMs ?? 20_000,
    accessCheckMs: options.accessCheckMs ?? 15_000,
    sessionSeconds: options.sessionSeconds ?? 900,
  };
}
