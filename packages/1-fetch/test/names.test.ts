import { describe, expect, test } from "vitest";
import { assertBucket, isExternalId, isRoleArn } from "../src/index.ts";
import { isSessionOfRole, toSessionName } from "../src/role-identifiers.ts";

// Attack R2.
describe("bucket names", () => {
  test("reads names, bucket ARNs, access point ARNs and aliases", () => {
    expect(assertBucket("my.bucket-1")).toEqual({ kind: "bucket", name: "my.bucket-1" });
    expect(assertBucket("arn:aws:s3:::my-bucket")).toEqual({ kind: "bucket", name: "my-bucket" });
    const arn = "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/reader";
    expect(assertBucket(arn)).toEqual({
      kind: "access-point-arn",
      name: arn,
      partition: "aws-cn",
      region: "cn-north-1",
      account: "123456789012",
    });
    const alias = "reader-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias";
    expect(assertBucket(alias)).toEqual({ kind: "access-point-alias", name: alias });
  });

  test.each([
    "evil.com/x",
    "..",
    "a/../b",
    "a..b",
    "ab",
    "a".repeat(64),
    "Upper-Case",
    "192.168.0.1",
    "xn--bucket",
    "sthree-bucket",
    "bucket--ol-s3",
    "-bucket",
    "bucket-",
    "bucket\n",
    "bucket?versionId=1",
    "%2e%2e%2f",
    "dotted.name-s3alias",
    "arn:aws:s3:::UPPER",
    "arn:aws:s3:us-east-1:1:accesspoint/x",
    "arn:aws:iam::123456789012:role/x",
    "",
  ])("refuses %j before any request", (text) => {
    expect(() => assertBucket(text)).toThrow("[connect/invalid_bucket_name]");
  });
});

describe("external ids", () => {
  test.each(["ab", "a".repeat(1224), "tenant+=,.@:/-1"])("accepts %s", (text) => {
    expect(isExternalId(text)).toBe(true);
  });
  test.each(["a", "a".repeat(1225), "with space", "under_score", "tab\t", "line\n", "ümlaut", ""])(
    "refuses %j",
    (text) => {
      expect(isExternalId(text)).toBe(false);
    },
  );
});

describe("roles", () => {
  test("knows a role's ARN, with and without a path", () => {
    expect(isRoleArn("arn:aws:iam::123456789012:role/reader")).toBe(true);
    expect(isRoleArn("arn:aws-us-gov:iam::123456789012:role/team/x/reader")).toBe(true);
  });

  test.each([
    "arn:aws:iam::123456789012:user/reader",
    "arn:aws:iam::12345:role/reader",
    "arn:aws:iam::123456789012:role/",
    "arn:aws:iam::123456789012:role/re ader",
    "arn:aws:iam::123456789012:role/reader\n",
    "arn:aws:sts::123456789012:assumed-role/reader/session",
  ])("refuses %j", (text) => {
    expect(isRoleArn(text)).toBe(false);
  });

  test("recognises a session of a role by account and name, whatever the role's path", () => {
    const session = "arn:aws:sts::123456789012:assumed-role/platform/x";
    expect(isSessionOfRole(session, "arn:aws:iam::123456789012:role/a/platform")).toBe(true);
    expect(isSessionOfRole(session, "arn:aws:iam::210987654321:role/platform")).toBe(false);
    expect(isSessionOfRole(session, "arn:aws:iam::123456789012:role/platform2")).toBe(false);
  });

  test("makes session names that STS takes", () => {
    expect(toSessionName("tenant 1/run#2")).toBe("tenant-1-run-2");
    expect(toSessionName("x".repeat(80))).toHaveLength(64);
  });
});
