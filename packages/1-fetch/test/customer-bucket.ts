import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { createLocalAws, type LocalAws, type PolicyDocument } from "@sluice/local-aws";
import type { ManifestObject } from "@sluice/schema";
import { createS3Source, type S3Source, type S3SourceOptions } from "../src/index.ts";

export const EXTERNAL_ID = "tenant-1/credential-7";
export const CUSTOMER_ACCOUNT = "444455556666";

/** A customer's bucket behind a role that demands the right external id, and our own two identities. */
export interface CustomerBucket extends AsyncDisposable {
  readonly aws: LocalAws;
  readonly bucket: string;
  readonly platformUser: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly platformRoleArn: string;
  readonly targetRoleArn: string;
  readonly options: S3SourceOptions;
  /** A source with the options above, changed where said. */
  open(changes?: Partial<S3SourceOptions>): S3Source;
  put(key: string, body: string | Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  trust(statement: PolicyDocument["Statement"]): Promise<void>;
}

export function trustStatement(platformRoleArn: string): PolicyDocument["Statement"] {
  return {
    Effect: "Allow",
    Principal: { AWS: platformRoleArn },
    Action: "sts:AssumeRole",
    Condition: { StringEquals: { "sts:ExternalId": EXTERNAL_ID } },
  };
}

export async function openCustomerBucket(): Promise<CustomerBucket> {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-fetch-"));
  const aws = await createLocalAws({ dataDir });
  const bucket = "customer-files";
  await aws.createBucket(bucket);
  const { arn: userArn, ...platformUser } = await aws.createUser({
    name: "ingest",
    policy: { Statement: { Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" } },
  });
  const { arn: platformRoleArn } = await aws.putRole({
    name: "sluice-platform",
    trustPolicy: {
      Statement: { Effect: "Allow", Principal: { AWS: userArn }, Action: "sts:AssumeRole" },
    },
    policy: { Statement: { Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" } },
  });
  const trust = async (statement: PolicyDocument["Statement"]): Promise<{ arn: string }> =>
    await aws.putRole({
      name: "files-reader",
      accountId: CUSTOMER_ACCOUNT,
      trustPolicy: { Statement: statement },
      policy: {
        Statement: { Effect: "Allow", Action: ["s3:ListBucket", "s3:GetObject"], Resource: "*" },
      },
    });
  const { arn: targetRoleArn } = await trust(trustStatement(platformRoleArn));
  const options: S3SourceOptions = {
    connection: {
      bucket,
      endpoint: aws.url,
      access: {
        kind: "role",
        targetRoleArn,
        externalId: EXTERNAL_ID,
        platformRoleArn,
        sessionName: "tenant-1-run-1",
      },
    },
    platform: {
      stsEndpoint: aws.url,
      credentials: platformUser,
      allowedHosts: new Set([new URL(aws.url).hostname, "localhost"]),
    },
    maxAttempts: 4,
    backoffBaseMs: 1,
    backoffMaxMs: 5,
  };
  const admin = new S3Client({
    region: aws.region,
    endpoint: aws.url,
    forcePathStyle: true,
    credentials: aws.adminKeys,
  });
  return {
    aws,
    bucket,
    platformUser,
    platformRoleArn,
    targetRoleArn,
    options,
    open: (changes = {}) => createS3Source({ ...options, ...changes }),
    async put(key, body) {
      const Body = Buffer.from(body);
      await admin.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body, ContentLength: Body.length }),
      );
    },
    async remove(key) {
      await admin.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    },
    async trust(statement) {
      await trust(statement);
    },
    async [Symbol.asyncDispose]() {
      admin.destroy();
      await aws.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Pins an object the way a plan does. */
export async function pin(source: S3Source, key: string): Promise<ManifestObject> {
  const { objects } = await source.plan({
    selections: [{ kind: "key", key }],
    days: ["2026-03-01"],
  });
  const [planned] = objects;
  if (planned === undefined) throw new Error(`${key} was not planned`);
  return planned.object;
}

/** Bytes that differ from place to place, the same for the same seed. */
export function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}
