import { StageError } from "@sluice/errors";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Access, S3SourceOptions } from "../src/index.ts";
import { toSessionPolicy } from "../src/session-policy.ts";
import {
  type CustomerBucket,
  collect,
  openCustomerBucket,
  pin,
  trustStatement,
} from "./customer-bucket.ts";

/**
 * Attack R4 and the other ways to have us use a right for somebody whose it is not. The rules are those of
 * docs/security.md, by their numbers; those that control keeps are tested there.
 */

let customer: CustomerBucket;
beforeAll(async () => {
  customer = await openCustomerBucket();
  await customer.put("in/a.csv", "a\n1\n");
  await customer.put("in/b.csv", "a\n2\n");
});
beforeEach(async () => {
  await customer.aws.faults.clear();
  await customer.trust(trustStatement(customer.platformRoleArn));
});
afterAll(async () => await customer[Symbol.asyncDispose]());

function withAccess(changes: Partial<Access & { kind: "role" }>): Partial<S3SourceOptions> {
  const { connection } = customer.options;
  if (connection.access.kind !== "role") throw new TypeError("no role");
  return { connection: { ...connection, access: { ...connection.access, ...changes } } };
}

async function codeOf(changes: Partial<S3SourceOptions>): Promise<string> {
  try {
    await using source = customer.open(changes);
    await source.list();
    return "listed";
  } catch (error) {
    return error instanceof StageError ? error.code : String(error);
  }
}

describe("rule 3: no role is assumed without an external id", () => {
  test.each(["", " ", "x", "with blank", "a\n"])(
    "%j is refused before STS is asked",
    async (id) => {
      const before = await customer.aws.requestCounts();
      expect(await codeOf(withAccess({ externalId: id }))).toBe("invalid_credentials");
      expect(await customer.aws.requestCounts()).toEqual(before);
    },
  );

  test("another tenant's id does not open the role", async () => {
    expect(await codeOf(withAccess({ externalId: "tenant-2/credential-1" }))).toBe(
      "invalid_credentials",
    );
  });
});

describe("rule 4: a role is asked whether it refuses others", () => {
  test.each([
    ["any id", { StringLike: { "sts:ExternalId": "*" } }],
    ["no id", undefined],
  ])("one that takes %s is told", async (_, condition) => {
    const { Condition: _own, ...statement } = trustStatement(
      customer.platformRoleArn,
    ) as unknown as { Condition: object };
    await customer.trust({
      ...statement,
      ...(condition === undefined ? {} : { Condition: condition }),
    } as never);
    await using source = customer.open();
    expect((await source.test()).at(-1)).toMatchObject({
      outcome: "warning",
      error: { code: "trust_policy_open" },
    });
  });
});

describe("rule 6: a session is as small and short as what it is for", () => {
  test("it lives for 900 seconds unless the operator says otherwise, and never for less", async () => {
    // The least that STS gives: a shorter one would be refused.
    expect(customer.options.sessionSeconds).toBeUndefined();
    await using source = customer.open({ sessionSeconds: 899 });
    const asked: unknown = await source.list().catch((error: unknown) => error);
    expect(asked).toMatchObject({ code: "invalid_credentials" });
  });

  test("for one object it may read that alone", async () => {
    await using all = customer.open();
    const [a, b] = [await pin(all, "in/a.csv"), await pin(all, "in/b.csv")];
    await using one = customer.open({ onlyKey: "in/a.csv" });
    expect((await collect(one.read(a))).toString()).toBe("a\n1\n");
    await expect(collect(one.read(b))).rejects.toMatchObject({ stage: "connect" });
  });

  test.each([
    ["in/a b.csv", "in/a b.csv"],
    ["in/*", "in/*"],
    ["in/?.csv", "in/*"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what a policy would take for a variable
    ["in/${aws:username}.csv", "in/*"],
    ["日/x", "*"],
    ["", "*"],
  ])("the key %j is written as %j", (key, pattern) => {
    const policy = JSON.parse(toSessionPolicy({ kind: "bucket", name: "b" }, "aws-cn", key));
    expect(policy.Statement[1].Resource).toBe(`arn:aws-cn:s3:::b/${pattern}`);
    expect(policy.Statement[0].Resource).toBe("arn:aws-cn:s3:::b");
  });
});

describe("rule 7: the platform's own identity never takes the place of a role that is refused", () => {
  test("not when STS refuses, and not when a field is empty", async () => {
    // The base user could read everything, if it were asked to.
    await customer.aws.createUser({
      name: "ingest",
      policy: { Statement: { Effect: "Allow", Action: "*", Resource: "*" } },
    });
    await customer.trust([]);
    const before = await customer.aws.requestCounts();
    expect(await codeOf({})).toBe("invalid_credentials");
    for (const changes of [{ targetRoleArn: "" }, { externalId: "" }, { platformRoleArn: "" }]) {
      expect(await codeOf(withAccess(changes))).toBe("invalid_credentials");
    }
    const after = await customer.aws.requestCounts();
    expect(after.ListObjectsV2).toBe(before.ListObjectsV2);
    expect(after.AssumeRole).toBeGreaterThan(before.AssumeRole ?? 0);
  });

  test("an empty access key is no key, and nothing else is tried", async () => {
    const { connection } = customer.options;
    const access = { kind: "key", accessKeyId: "", secretAccessKey: "" } as const;
    const before = await customer.aws.requestCounts();
    expect(await codeOf({ connection: { ...connection, access } })).not.toBe("listed");
    expect((await customer.aws.requestCounts()).AssumeRole).toBe(before.AssumeRole);
  });
});
