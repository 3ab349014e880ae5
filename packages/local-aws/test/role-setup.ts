import { S3Client } from "@aws-sdk/client-s3";
import { AssumeRoleCommand, type AssumeRoleCommandInput, STSClient } from "@aws-sdk/client-sts";
import type { AccessKey, LocalAws, PolicyDocument } from "../src/index.ts";

/** A customer's role in another account that trusts the platform's user on the right external id. */

export const EXTERNAL_ID = "tenant/7:right";

export interface RoleSetup {
  readonly user: AccessKey & { readonly arn: string };
  readonly roleArn: string;
}

export const MAY_ASSUME: PolicyDocument = {
  Version: "2012-10-17",
  Statement: { Effect: "Allow", Action: "sts:AssumeRole", Resource: "arn:aws:iam::*:role/*" },
};

export function trustIn(principal: string, externalId: string): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "AllowPlatformAccess",
        Effect: "Allow",
        Principal: { AWS: principal },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "sts:ExternalId": externalId } },
      },
    ],
  };
}

export function readOnly(bucket: string): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: "s3:ListBucket", Resource: `arn:aws:s3:::${bucket}` },
      { Effect: "Allow", Action: ["s3:GetObject"], Resource: `arn:aws:s3:::${bucket}/*` },
    ],
  };
}

export async function setUpRole(local: LocalAws, bucket: string): Promise<RoleSetup> {
  const user = await local.createUser({ name: "platform", policy: MAY_ASSUME });
  const { arn: roleArn } = await local.putRole({
    name: "customer",
    accountId: "444455556666",
    trustPolicy: trustIn(user.arn, EXTERNAL_ID),
    policy: readOnly(bucket),
  });
  return { user, roleArn };
}

export interface SessionKeys extends AccessKey {
  readonly sessionToken: string;
}

export async function assume(
  local: LocalAws,
  credentials: AccessKey & { readonly sessionToken?: string },
  input: Partial<AssumeRoleCommandInput>,
): Promise<SessionKeys> {
  const sts = new STSClient({ endpoint: local.url, region: local.region, credentials });
  try {
    const { Credentials: given } = await sts.send(
      new AssumeRoleCommand({ RoleArn: "", RoleSessionName: "run-1", ...input }),
    );
    return {
      accessKeyId: given?.AccessKeyId ?? "",
      secretAccessKey: given?.SecretAccessKey ?? "",
      sessionToken: given?.SessionToken ?? "",
    };
  } finally {
    sts.destroy();
  }
}

export function s3As(
  local: LocalAws,
  credentials: AccessKey & { readonly sessionToken?: string },
): S3Client {
  const { url: endpoint, region } = local;
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials, maxAttempts: 1 });
}

/** The name of the error that a call ends with, and its HTTP status. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return `${name} ${$metadata?.httpStatusCode ?? ""}`.trim();
  }
  return "no refusal";
}
