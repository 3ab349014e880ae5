import type { BucketReference } from "./bucket-name.ts";

/**
 * The policy that narrows a session of the target role to reading this bucket, whatever else the
 * role may do, and of it only the object of the key where that is all that will be read. `partition` is the role's:
 * `aws`, `aws-cn`, ...
 */
export function toSessionPolicy(
  bucket: BucketReference,
  partition: string,
  key: string | undefined,
): string {
  const [containers, objects] = toResources(bucket, partition, toKeyPattern(key));
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        // GetAccessPoint tells why an access point refuses us.
        Action: ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetAccessPoint"],
        Resource: containers,
      },
      { Effect: "Allow", Action: ["s3:GetObject", "s3:GetObjectVersion"], Resource: objects },
      {
        // Objects under SSE-KMS: only on S3's behalf, and only where the role may already.
        Effect: "Allow",
        Action: "kms:Decrypt",
        Resource: "*",
        Condition: { StringLike: { "kms:ViaService": "s3.*.amazonaws.com*" } },
      },
    ],
  });
}

/** Characters that mean themselves in a resource, and that a session policy may hold. */
const PLAIN = /^[\w/.=+@,:;!'()&~ -]*/;

/** A key as a policy names it: to its first character that would mean something else, and then anything. */
function toKeyPattern(key = ""): string {
  const plain = PLAIN.exec(key)?.[0] ?? "";
  return plain !== "" && plain === key ? plain : `${plain}*`;
}

function toResources(
  bucket: BucketReference,
  partition: string,
  keys: string,
): readonly [string, string] {
  switch (bucket.kind) {
    case "bucket": {
      const arn = `arn:${partition}:s3:::${bucket.name}`;
      return [arn, `${arn}/${keys}`];
    }
    case "access-point-arn":
      return [bucket.name, `${bucket.name}/object/${keys}`];
    case "access-point-alias":
      // IAM knows no aliases, and the access point's account and name are not in it.
      return ["*", "*"];
  }
}
