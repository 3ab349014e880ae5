import { ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { LocalAws } from "@sluice/local-aws";

/** A customer's side of AWS: a bucket in an account of their own, and the role that may read it. */
export interface Customer {
  readonly bucket: string;
  readonly roleArn: string;
  /** Puts an object there, and gives its size in bytes. */
  put(key: string, body: Uint8Array | string): Promise<number>;
  /** What lies there, the first thousand of it. */
  keys(): Promise<string[]>;
}

/** Makes the bucket, and a role that demands the external id of whoever assumes it. */
export async function createCustomer(
  aws: LocalAws,
  options: {
    readonly bucket: string;
    readonly roleName: string;
    /** Who may assume the role, and what they have to present. */
    readonly platformRoleArn: string;
    readonly externalId: string;
  },
): Promise<Customer> {
  const { bucket, roleName, platformRoleArn, externalId } = options;
  await aws.createBucket(bucket);
  const { arn: roleArn } = await aws.putRole({
    name: roleName,
    trustPolicy: {
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { AWS: platformRoleArn },
          Action: "sts:AssumeRole",
          Condition: { StringEquals: { "sts:ExternalId": externalId } },
        },
      ],
    },
    policy: {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Action: "s3:ListBucket", Resource: `arn:aws:s3:::${bucket}` },
        { Effect: "Allow", Action: "s3:GetObject*", Resource: `arn:aws:s3:::${bucket}/*` },
      ],
    },
  });
  const owner = new S3Client({
    endpoint: aws.url,
    region: aws.region,
    forcePathStyle: true,
    credentials: aws.adminKeys,
  });
  return {
    bucket,
    roleArn,
    async put(key, body) {
      await owner.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
      return Buffer.byteLength(body);
    },
    async keys() {
      const { Contents = [] } = await owner.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map(({ Key = "" }) => Key);
    },
  };
}
