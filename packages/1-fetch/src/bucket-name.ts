import { StageError } from "@sluice/errors";

/** What the name in a credential points at. `name` is what requests carry as their bucket. */
export type BucketReference =
  | { readonly kind: "bucket"; readonly name: string }
  | { readonly kind: "access-point-alias"; readonly name: string }
  | {
      readonly kind: "access-point-arn";
      readonly name: string;
      readonly partition: string;
      readonly region: string;
      readonly account: string;
    };

const BUCKET_ARN = /^arn:aws[a-z-]*:s3:::(.+)$/;
const ACCESS_POINT_ARN =
  /^arn:(aws[a-z-]*):s3:([a-z0-9-]+):(\d{12}):accesspoint[/:]([a-z0-9](?:[a-z0-9-]{1,48}[a-z0-9]))$/;

// "Bucket naming rules" of the S3 user guide: beginnings and ends that S3 keeps for itself.
const RESERVED_PREFIXES = ["xn--", "sthree-", "amzn-s3-demo-"] as const;
const RESERVED_SUFFIXES = ["--ol-s3", ".mrap", "--x-s3", "--table-s3"] as const;

/**
 * Reads a bucket name, a bucket ARN (`arn:aws:s3:::name`, read as the name in it), an access point
 * ARN or an access point alias (`...-s3alias`). Throws `connect.invalid_bucket_name` before any
 * request could carry the name to some other place.
 */
export function assertBucket(text: string): BucketReference {
  const accessPoint = ACCESS_POINT_ARN.exec(text);
  if (accessPoint !== null) {
    const [, partition = "", region = "", account = ""] = accessPoint;
    return { kind: "access-point-arn", name: text, partition, region, account };
  }
  const name = BUCKET_ARN.exec(text)?.[1] ?? text;
  if (name.startsWith("arn:")) {
    throw refuse(text, "this ARN names neither a bucket nor an access point");
  }
  const fault = bucketNameFault(name);
  if (fault !== undefined) throw refuse(text, fault);
  if (!name.endsWith("-s3alias")) return { kind: "bucket", name };
  if (name !== text || name.includes(".")) {
    throw refuse(text, "an access point alias has no dots and stands alone");
  }
  return { kind: "access-point-alias", name };
}

function bucketNameFault(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) return "it has to have 3 to 63 characters";
  const odd = /[^a-z0-9.-]/.exec(name);
  if (odd !== null) {
    return `character ${odd.index + 1} is none of a-z, 0-9, dot and hyphen`;
  }
  if (!/^[a-z0-9].*[a-z0-9]$/.test(name)) return "it has to begin and end with a letter or a digit";
  if (name.includes("..")) return "it has two dots in a row";
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return "it is written like an IP address";
  const prefix = RESERVED_PREFIXES.find((reserved) => name.startsWith(reserved));
  if (prefix !== undefined) return `S3 keeps names that begin with ${prefix} for itself`;
  const suffix = RESERVED_SUFFIXES.find((reserved) => name.endsWith(reserved));
  if (suffix !== undefined) return `S3 keeps names that end with ${suffix} for other uses`;
  return undefined;
}

function refuse(text: string, why: string): StageError<"connect"> {
  return new StageError("connect", "invalid_bucket_name", `the bucket name is not valid: ${why}`, {
    // A pasted document or control characters must not reach a log line whole.
    seen: text.slice(0, 100).replace(/[^\x20-\x7e]/g, "?"),
    expected: "a bucket name, or the ARN or alias of an access point",
  });
}
