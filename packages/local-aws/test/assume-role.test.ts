import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalAws, type LocalAws } from "../src/index.ts";
import {
  assume,
  EXTERNAL_ID,
  MAY_ASSUME,
  type RoleSetup,
  readOnly,
  refusalOf,
  s3As,
  setUpRole,
  trustIn,
} from "./role-setup.ts";

let dataDir: string;
let local: LocalAws;
let setup: RoleSetup;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "local-aws-"));
  local = await createLocalAws({ dataDir });
  await local.createBucket("customer-data");
  await local.createBucket("other-data");
  setup = await setUpRole(local, "customer-data");
  const root = s3As(local, local.adminKeys);
  for (const Bucket of ["customer-data", "other-data"]) {
    await root.send(new PutObjectCommand({ Bucket, Key: "in/a.csv", Body: "a,b\n1,2\n" }));
    await root.send(new PutObjectCommand({ Bucket, Key: "secret/b.csv", Body: "c\n3\n" }));
  }
});

afterAll(async () => {
  await local.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const get = (Key: string, Bucket = "customer-data") => new GetObjectCommand({ Bucket, Key });

describe("AssumeRole", () => {
  it("gives the right external id a session that reads what the role may read, and no more", async () => {
    const { user, roleArn } = setup;
    const keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
    expect(keys.accessKeyId).toMatch(/^ASIA/);
    const s3 = s3As(local, keys);
    const got = await s3.send(get("in/a.csv"));
    expect(await got.Body?.transformToString()).toBe("a,b\n1,2\n");
    expect(await refusalOf(s3.send(get("in/a.csv", "other-data")))).toBe("AccessDenied 403");
    const put = new PutObjectCommand({ Bucket: "customer-data", Key: "x", Body: "x" });
    expect(await refusalOf(s3.send(put))).toBe("AccessDenied 403");
    expect(await refusalOf(s3.send(get("absent")))).toBe("NoSuchKey 404");
  });

  it.each([
    ["a wrong external id", "tenant/7:wrong"],
    ["no external id", undefined],
  ])("refuses %s", async (_, externalId) => {
    const { user, roleArn } = setup;
    const input = { RoleArn: roleArn, ...(externalId && { ExternalId: externalId }) };
    expect(await refusalOf(assume(local, user, input))).toBe("AccessDenied 403");
  });

  it("refuses a role that does not exist like one that does not trust", async () => {
    const input = { RoleArn: "arn:aws:iam::444455556666:role/nobody", ExternalId: EXTERNAL_ID };
    expect(await refusalOf(assume(local, setup.user, input))).toBe("AccessDenied 403");
  });

  it("gives the base user no rights on S3", async () => {
    const s3 = s3As(local, setup.user);
    expect(await refusalOf(s3.send(get("in/a.csv")))).toBe("AccessDenied 403");
    const head = new HeadBucketCommand({ Bucket: "customer-data" });
    expect(await refusalOf(s3.send(head))).toMatch(/403$/);
  });

  it("refuses a caller whose own policy does not allow it, across accounts", async () => {
    const user = await local.createUser({ name: "without-policy" });
    const { arn } = await local.putRole({
      name: "trusts-the-account",
      accountId: "444455556666",
      trustPolicy: trustIn(`arn:aws:iam::${local.accountId}:root`, EXTERNAL_ID),
      policy: readOnly("customer-data"),
    });
    const input = { RoleArn: arn, ExternalId: EXTERNAL_ID };
    expect(await refusalOf(assume(local, user, input))).toBe("AccessDenied 403");
    expect(await refusalOf(assume(local, setup.user, input))).toBe("no refusal");
  });

  it("holds a session to its own policy as well", async () => {
    const { user, roleArn } = setup;
    const keys = await assume(local, user, {
      RoleArn: roleArn,
      ExternalId: EXTERNAL_ID,
      Policy: JSON.stringify({
        Statement: [
          {
            Effect: "Allow",
            Action: "s3:Get*",
            Resource: "arn:aws:s3:::customer-data/in/*",
          },
        ],
      }),
    });
    const s3 = s3As(local, keys);
    expect(await refusalOf(s3.send(get("in/a.csv")))).toBe("no refusal");
    expect(await refusalOf(s3.send(get("secret/b.csv")))).toBe("AccessDenied 403");
    const list = new ListObjectsV2Command({ Bucket: "customer-data" });
    expect(await refusalOf(s3.send(list))).toBe("AccessDenied 403");
    // Who may not list is not told that a key is missing.
    expect(await refusalOf(s3.send(get("in/absent")))).toBe("AccessDenied 403");
  });

  it("lets a role assume a role, for an hour at most", async () => {
    const { arn: platformRole } = await local.putRole({
      name: "platform-role",
      trustPolicy: trustIn(setup.user.arn, "first-hop"),
      policy: MAY_ASSUME,
    });
    const { arn: target } = await local.putRole({
      name: "second",
      accountId: "444455556666",
      trustPolicy: trustIn(platformRole, EXTERNAL_ID),
      policy: readOnly("customer-data"),
      maxSessionSeconds: 43_200,
    });
    const first = await assume(local, setup.user, {
      RoleArn: platformRole,
      ExternalId: "first-hop",
    });
    const second = await assume(local, first, { RoleArn: target, ExternalId: EXTERNAL_ID });
    expect(await refusalOf(s3As(local, second).send(get("in/a.csv")))).toBe("no refusal");
    const long = { RoleArn: target, ExternalId: EXTERNAL_ID, DurationSeconds: 7_200 };
    expect(await refusalOf(assume(local, first, long))).toBe("ValidationError 400");
    expect(
      await refusalOf(assume(local, setup.user, { RoleArn: target, ExternalId: EXTERNAL_ID })),
    ).toBe("AccessDenied 403");
  });

  it.each([899, 3_601])("refuses a session of %d seconds", async (DurationSeconds) => {
    const input = { RoleArn: setup.roleArn, ExternalId: EXTERNAL_ID, DurationSeconds };
    expect(await refusalOf(assume(local, setup.user, input))).toBe("ValidationError 400");
  });

  it("says who is calling", async () => {
    const { user, roleArn } = setup;
    const keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
    const sts = new STSClient({ endpoint: local.url, region: local.region, credentials: keys });
    const { Arn, Account } = await sts.send(new GetCallerIdentityCommand());
    expect(Arn).toBe("arn:aws:sts::444455556666:assumed-role/customer/run-1");
    expect(Account).toBe("444455556666");
  });

  it("ends a role's sessions at once when the role is deleted or denied", async () => {
    const input = {
      name: "short-lived",
      accountId: "444455556666",
      trustPolicy: trustIn(setup.user.arn, EXTERNAL_ID),
      policy: readOnly("customer-data"),
    };
    const { arn } = await local.putRole(input);
    const keys = await assume(local, setup.user, { RoleArn: arn, ExternalId: EXTERNAL_ID });
    const s3 = s3As(local, keys);
    expect(await refusalOf(s3.send(get("in/a.csv")))).toBe("no refusal");
    await local.putRole({
      ...input,
      policy: { Statement: { Effect: "Deny", Action: "*", Resource: "*" } },
    });
    expect(await refusalOf(s3.send(get("in/a.csv")))).toBe("AccessDenied 403");
    await local.deleteRole(arn);
    expect(await refusalOf(s3.send(get("in/a.csv")))).toBe("InvalidAccessKeyId 403");
    await local.putRole(input);
    expect(await refusalOf(s3.send(get("in/a.csv")))).toBe("InvalidAccessKeyId 403");
  });

  it("refuses keys, secrets and tokens that are not right, each with its code", async () => {
    const { user, roleArn } = setup;
    const keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
    const tryWith = (changed: object) =>
      refusalOf(s3As(local, { ...keys, ...changed }).send(get("in/a.csv")));
    expect(await tryWith({ secretAccessKey: "wrong" })).toBe("SignatureDoesNotMatch 403");
    const large = Buffer.alloc(20_000_000, 1);
    const put = new PutObjectCommand({ Bucket: "customer-data", Key: "x", Body: large });
    const upload = s3As(local, { ...local.adminKeys, secretAccessKey: "wrong" }).send(put);
    expect(await refusalOf(upload)).toBe("SignatureDoesNotMatch 403");
    expect(await tryWith({ sessionToken: `${keys.sessionToken}x` })).toBe("InvalidToken 400");
    const { accessKeyId, secretAccessKey } = keys;
    expect(
      await refusalOf(s3As(local, { accessKeyId, secretAccessKey }).send(get("in/a.csv"))),
    ).toBe("InvalidAccessKeyId 403");
    expect(
      await refusalOf(assume(local, { ...user, secretAccessKey: "x" }, { RoleArn: roleArn })),
    ).toBe("SignatureDoesNotMatch 403");
    expect(
      await refusalOf(assume(local, { ...user, accessKeyId: "AKIAX" }, { RoleArn: roleArn })),
    ).toBe("InvalidClientTokenId 403");
  });
});
