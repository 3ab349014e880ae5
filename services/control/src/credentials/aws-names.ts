/**
 * Checks of names before any request could carry them to some other place. Ingest checks them again,
 * by its own rules, when it uses them.
 */

/** What a credential's bucket names. */
export type BucketKind = "bucket" | "access_point";

const ACCESS_POINT_ARN =
  /^arn:aws[a-z-]*:s3:[a-z0-9-]+:[0-9]{12}:accesspoint[/:][a-z0-9][a-z0-9-]{1,48}[a-z0-9]$/;
const BUCKET_ARN = /^arn:aws[a-z-]*:s3:::([^:/]+)$/;
const ALIAS = /^[a-z0-9-]+-s3alias$/;

/** Beginnings and ends that S3 keeps for itself (S3 user guide, "General purpose bucket naming rules"). */
const RESERVED_STARTS = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS = ["--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/** What kind of thing the text names, or why it names nothing. */
export function judgeBucket(
  text: string,
): { readonly kind: BucketKind } | { readonly fault: string } {
  if (ACCESS_POINT_ARN.test(text)) {
    return { kind: "access_point" };
  }
  const name = BUCKET_ARN.exec(text)?.[1] ?? text;
  if (name.startsWith("arn:")) {
    return { fault: "this ARN names neither a bucket nor an access point" };
  }
  const fault = bucketFault(name);
  if (fault !== undefined) {
    return { fault };
  }
  return { kind: ALIAS.test(text) ? "access_point" : "bucket" };
}

function bucketFault(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) {
    return "a bucket name has 3 to 63 characters";
  }
  if (!/^[a-z0-9.-]+$/.test(name)) {
    return "a bucket name has lower-case letters, digits, dots and hyphens only";
  }
  if (!/^[a-z0-9]/.test(name) || !/[a-z0-9]$/.test(name)) {
    return "a bucket name begins and ends with a letter or a digit";
  }
  if (name.includes("..")) {
    return "a bucket name has no two dots in a row";
  }
  if (/^[0-9]+(\.[0-9]+){3}$/.test(name)) {
    return "a bucket name is not written like an IP address";
  }
  if (name.endsWith("-s3alias") && name.includes(".")) {
    return "an access point alias has no dots";
  }
  const reserved =
    RESERVED_STARTS.find((start) => name.startsWith(start)) ??
    RESERVED_ENDS.find((end) => name.endsWith(end));
  return reserved === undefined ? undefined : `S3 keeps bucket names with ${reserved} for itself`;
}

/** Regions become part of host names. */
export function isRegion(text: string): boolean {
  return /^[a-z0-9]+(-[a-z0-9]+)*$/.test(text);
}

/** The origin of an address without path, query or user; undefined for anything else. */
export function toOrigin(address: string): string | undefined {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return undefined;
  }
  return [url.origin, `${url.origin}/`].includes(url.href) && !address.includes("@")
    ? url.origin
    : undefined;
}

/** Whether a text may be an external id: 2 to 1,224 of the characters that IAM takes (CR-7). */
export function isExternalId(text: string): boolean {
  return /^[A-Za-z0-9+=,.@:/-]{2,1224}$/.test(text);
}
