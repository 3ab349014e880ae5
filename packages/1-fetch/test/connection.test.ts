import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { StageError } from "@sluice/errors";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Access, ConnectionCheck, S3Source, S3SourceOptions } from "../src/index.ts";
import { translateAwsError } from "../src/translate-aws-error.ts";
import {
  CUSTOMER_ACCOUNT,
  type CustomerBucket,
  collect,
  EXTERNAL_ID,
  openCustomerBucket,
  pin,
  trustStatement,
} from "./customer-bucket.ts";

let customer: CustomerBucket;
const opened: S3Source[] = [];

beforeAll(async () => {
  customer = await openCustomerBucket();
  await customer.put("a.csv", "a,b\n1,2\n");
});

afterEach(async () => {
  await customer.aws.faults.clear();
  await customer.trust(trustStatement(customer.platformRoleArn));
  for (const source of opened.splice(0)) await source.close();
});

afterAll(async () => {
  await customer[Symbol.asyncDispose]();
});

type Changes = Partial<S3SourceOptions["connection"]>;

function open(changes: Changes = {}, platform: S3SourceOptions["platform"] = {}): S3Source {
  const { options } = customer;
  const source = customer.open({
    connection: { ...options.connection, ...changes },
    platform: { ...options.platform, ...platform },
  });
  opened.push(source);
  return source;
}

function role(changes: Partial<Access & { kind: "role" }>): Changes {
  const { access } = customer.options.connection;
  if (access.kind !== "role") throw new TypeError("the bucket is not opened by a role");
  return { access: { ...access, ...changes } };
}

function outcomes(checks: readonly ConnectionCheck[]): string[] {
  return checks.map(({ check, outcome, error }) =>
    [check, outcome, ...(error ? [`${error.stage}.${error.code}`] : [])].join(" "),
  );
}

async function assumed(): Promise<number> {
  return (await customer.aws.requestCounts()).AssumeRole ?? 0;
}

describe("the connection test", () => {
  test("passes every check against a bucket behind a well-made role", async () => {
    expect(outcomes(await open().test())).toEqual([
      "ASSUME_ROLE ok",
      "REACH_BUCKET ok",
      "LIST ok",
      "READ ok",
      "REFUSES_WRONG_EXTERNAL_ID ok",
    ]);
  });

  test("skips reading when there is nothing to read", async () => {
    await customer.aws.createBucket("nothing-in-it");
    expect(outcomes(await open({ bucket: "nothing-in-it" }).test()).slice(2, 4)).toEqual([
      "LIST ok",
      "READ skipped",
    ]);
  });

  test("a wrong external id is invalid_credentials, and all later checks are skipped", async () => {
    const checks = await open(role({ externalId: "somebody-else" })).test();
    expect(outcomes(checks)).toEqual([
      "ASSUME_ROLE failed connect.invalid_credentials",
      "REACH_BUCKET skipped",
      "LIST skipped",
      "READ skipped",
      "REFUSES_WRONG_EXTERNAL_ID skipped",
    ]);
  });

  test("a role that is gone is invalid_credentials, asked for once (ST-01)", async () => {
    const before = await assumed();
    const gone = `arn:aws:iam::${CUSTOMER_ACCOUNT}:role/gone`;
    const checks = await open(role({ targetRoleArn: gone })).test();
    expect(outcomes(checks)[0]).toBe("ASSUME_ROLE failed connect.invalid_credentials");
    // The platform role, then the target role: no retry storm.
    expect((await assumed()) - before).toBe(2);
  });

  test("a trust policy without the external id's condition is trust_policy_open (R4)", async () => {
    await customer.trust({
      Effect: "Allow",
      Principal: { AWS: customer.platformRoleArn },
      Action: "sts:AssumeRole",
    });
    const checks = await open().test();
    expect(outcomes(checks).at(-1)).toBe(
      "REFUSES_WRONG_EXTERNAL_ID warning connect.trust_policy_open",
    );
    expect(checks.at(-1)?.error?.rawMessage).toContain("with a wrong external id");
  });

  test("a trust policy that only checks an id when there is one is trust_policy_open", async () => {
    await customer.trust({
      Effect: "Allow",
      Principal: { AWS: customer.platformRoleArn },
      Action: "sts:AssumeRole",
      Condition: { StringEqualsIfExists: { "sts:ExternalId": EXTERNAL_ID } },
    });
    const checks = await open().test();
    expect(checks.at(-1)?.error?.rawMessage).toContain("without any external id");
  });

  test("an identity that expires before the role was seen to refuse proves nothing", async () => {
    // The platform role, the target role, then the probe.
    const id = await customer.aws.faults.add({
      operation: "AssumeRole",
      effect: { kind: "expire-token" },
      skip: 2,
      times: 1,
    });
    expect(outcomes(await open().test()).at(-1)).toBe(
      "REFUSES_WRONG_EXTERNAL_ID failed connect.invalid_credentials",
    );
    expect((await customer.aws.faults.counts())[id]).toBe(1);
  });

  test("a bucket that nobody has is bucket_not_found", async () => {
    expect(outcomes(await open({ bucket: "no-such-bucket-here" }).test())[1]).toBe(
      "REACH_BUCKET failed connect.bucket_not_found",
    );
  });

  test("a bucket of another region is wrong_region and names the region", async () => {
    await customer.aws.createBucket("far-away-files", { region: "eu-west-1" });
    const checks = await open({ bucket: "far-away-files" }).test();
    expect(outcomes(checks)[1]).toBe("REACH_BUCKET failed connect.wrong_region");
    expect(checks[1]?.error?.rawMessage).toBe(
      "the bucket is in region eu-west-1, not in us-east-1",
    );
  });

  test("a role that may not list fails at LIST, one that may not read at READ", async () => {
    const answer = async (action: string): Promise<string[]> => {
      const { arn } = await customer.aws.putRole({
        name: `only-${action.replace(":", "-")}`,
        accountId: CUSTOMER_ACCOUNT,
        trustPolicy: { Statement: trustStatement(customer.platformRoleArn) },
        policy: { Statement: { Effect: "Allow", Action: action, Resource: "*" } },
      });
      return outcomes(await open(role({ targetRoleArn: arn })).test());
    };
    expect((await answer("s3:GetObject")).slice(1, 4)).toEqual([
      "REACH_BUCKET ok",
      "LIST failed connect.access_denied",
      "READ skipped",
    ]);
    expect((await answer("s3:ListBucket")).slice(1, 4)).toEqual([
      "REACH_BUCKET ok",
      "LIST ok",
      "READ failed connect.access_denied",
    ]);
  });

  test("an access key needs no role, and a wrong secret is invalid_credentials", async () => {
    const { accessKeyId, secretAccessKey } = customer.aws.adminKeys;
    const right = open({ access: { kind: "key", accessKeyId, secretAccessKey } });
    expect(outcomes(await right.test())).toEqual([
      "ASSUME_ROLE skipped",
      "REACH_BUCKET ok",
      "LIST ok",
      "READ ok",
      "REFUSES_WRONG_EXTERNAL_ID skipped",
    ]);
    const wrong = open({ access: { kind: "key", accessKeyId, secretAccessKey: "wrong" } });
    expect(outcomes(await wrong.test())[1]).toBe("REACH_BUCKET failed connect.invalid_credentials");
  });

  test("a store that does not answer is source_unavailable", async () => {
    const checks = await open({ endpoint: "http://127.0.0.1:1" }).test();
    expect(outcomes(checks)[1]).toBe("REACH_BUCKET failed connect.source_unavailable");
    expect(checks[1]?.error?.seen).toBe("ECONNREFUSED");
  });

  test("an access point's alias works like a bucket's name; one for a VPC only is refused", async () => {
    const { bucket } = customer;
    const { alias, arn } = await customer.aws.createAccessPoint({ name: "reader", bucket });
    expect(outcomes(await open({ bucket: alias }).test())).toContain("READ ok");
    // By its ARN an access point is a host of its own below the store's; this machine's address has none.
    const endpoint = customer.aws.url.replace("127.0.0.1", "localhost");
    for (const store of [endpoint, customer.aws.url]) {
      expect(outcomes(await open({ bucket: arn, endpoint: store }).test())).toContain("READ ok");
    }
    const vpc = await customer.aws.createAccessPoint({ name: "inner", bucket, isVpcOnly: true });
    const refusal = async (name: string): Promise<unknown> => {
      const checks = await open({
        ...role({ targetRoleArn: allowed.arn }),
        bucket: name,
        endpoint,
      }).test();
      return checks.find(({ outcome }) => outcome === "failed");
    };
    const looks = ["s3:ListBucket", "s3:GetObject"];
    const asks = async (actions: readonly string[]): Promise<{ arn: string }> =>
      await customer.aws.putRole({
        name: "point-reader",
        accountId: customer.aws.accountId,
        trustPolicy: { Statement: trustStatement(customer.platformRoleArn) },
        policy: { Statement: { Effect: "Allow", Action: actions, Resource: "*" } },
      });
    const allowed = await asks([...looks, "s3:GetAccessPoint"]);
    for (const name of [vpc.alias, vpc.arn]) {
      expect(await refusal(name)).toMatchObject({
        check: "REACH_BUCKET",
        error: { stage: "connect", code: "access_point_vpc_only", seen: "network origin VPC" },
      });
    }
    // Nobody else can tell: a role that may not ask is told what it may be.
    await asks(looks);
    expect(await refusal(vpc.alias)).toMatchObject({
      error: {
        code: "access_denied",
        rawMessage: expect.stringContaining("an access point for a VPC only"),
      },
    });
  });
});

describe("an address that cannot be made", () => {
  const arn = "arn:aws:s3:eu-west-1:111122223333:accesspoint/reader";

  test.each(["http://93.184.215.14:9000", "https://[2606:4700::1111]"])(
    "of an access point's ARN and the IP address %s is refused before anything is sent",
    (endpoint) => {
      expect(() => open({ bucket: arn, endpoint })).toThrow(
        expect.objectContaining({
          stage: "connect",
          code: "endpoint_refused",
          expected: expect.stringContaining("alias"),
        }),
      );
    },
  );

  test("is no outage of the store: nobody tries again", () => {
    const error = Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL" });
    const told = translateAwsError(error, { operation: "list", region: "eu-west-1" });
    expect(told).toMatchObject({ code: "endpoint_refused", seen: "ERR_INVALID_URL" });
    expect(told.retry).toBe("after_change");
  });
});

describe("the session", () => {
  test("is shared by all calls, and by calls made at once", async () => {
    const before = await assumed();
    const source = open();
    await Promise.all([source.list(), source.list(), source.head("a.csv")]);
    await source.list();
    // Once for the platform role, once for the target role.
    expect((await assumed()) - before).toBe(2);
  });

  test("skips the platform role when the base identity already is it", async () => {
    const { arn } = await customer.aws.putRole({
      name: "our-own",
      trustPolicy: { Statement: { Effect: "Allow", Principal: "*", Action: "sts:AssumeRole" } },
      policy: { Statement: { Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" } },
    });
    const sts = new STSClient({
      region: customer.aws.region,
      endpoint: customer.aws.url,
      credentials: customer.platformUser,
    });
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({ RoleArn: arn, RoleSessionName: "base" }),
    );
    sts.destroy();
    await customer.trust(trustStatement(arn));
    const before = await assumed();
    const source = open(role({ platformRoleArn: arn }), {
      credentials: {
        accessKeyId: Credentials?.AccessKeyId ?? "",
        secretAccessKey: Credentials?.SecretAccessKey ?? "",
        sessionToken: Credentials?.SessionToken ?? "",
      },
    });
    await source.list();
    expect((await assumed()) - before).toBe(1);
  });

  test("is narrowed to the bucket, whatever else the role may read", async () => {
    await customer.aws.createBucket("another-bucket");
    const source = open();
    const object = { ...(await pin(source, "a.csv")), bucket: "another-bucket" };
    await expect(collect(source.read(object))).rejects.toThrow("[connect/access_denied]");
  });

  test("that has expired is replaced once, without the caller noticing", async () => {
    const source = open();
    await source.list();
    const before = await assumed();
    const id = await customer.aws.faults.add({
      operation: "ListObjectsV2",
      effect: { kind: "expire-token" },
      times: 1,
    });
    expect((await source.list()).objects).toHaveLength(1);
    expect((await customer.aws.faults.counts())[id]).toBe(1);
    expect((await assumed()) - before).toBe(1);
  });

  test("that stays expired is invalid_credentials after one new session, no storm", async () => {
    const source = open();
    await source.list();
    const before = await assumed();
    await customer.aws.faults.add({ operation: "HeadObject", effect: { kind: "expire-token" } });
    await customer.aws.faults.add({ operation: "GetObject", effect: { kind: "expire-token" } });
    await expect(source.head("a.csv")).rejects.toThrow("[connect/invalid_credentials]");
    expect((await assumed()) - before).toBe(1);
  });

  test("whose role was closed is not replaced: the read fails with invalid_credentials (ST-03)", async () => {
    const source = open();
    const object = await pin(source, "a.csv");
    await customer.trust({ Effect: "Deny", Principal: "*", Action: "sts:AssumeRole" });
    await customer.aws.faults.add({ operation: "GetObject", effect: { kind: "expire-token" } });
    await expect(collect(source.read(object))).rejects.toThrow("[connect/invalid_credentials]");
  });

  test("is had although the platform role's kept session has expired", async () => {
    const source = open();
    await source.list();
    await customer.aws.faults.add({
      operation: "ListObjectsV2",
      effect: { kind: "expire-token" },
      times: 1,
    });
    const id = await customer.aws.faults.add({
      operation: "AssumeRole",
      effect: { kind: "expire-token" },
      times: 1,
    });
    expect((await source.list()).objects).toHaveLength(1);
    expect((await customer.aws.faults.counts())[id]).toBe(1);
  });

  test("is replaced before it expires, by the time since it was asked for", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const source = open();
      await source.list();
      const before = await assumed();
      vi.advanceTimersByTime(719_000);
      await source.list();
      expect((await assumed()) - before).toBe(0);
      vi.advanceTimersByTime(2_000);
      await source.list();
      // The platform role's session, as old as the target's, is replaced with it.
      expect((await assumed()) - before).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test("fails for good after as many tries as were allowed, whoever needed it", async () => {
    const id = await customer.aws.faults.add({
      operation: "AssumeRole",
      effect: { kind: "error", code: "InternalError" },
    });
    await expect(open().list()).rejects.toThrow("[connect/source_unavailable] STS failed");
    expect((await customer.aws.faults.counts())[id]).toBe(4);
  });

  test("outlives STS failing for a while", async () => {
    const id = await customer.aws.faults.add({
      operation: "AssumeRole",
      effect: { kind: "error", code: "InternalError" },
      times: 2,
    });
    expect((await open().list()).objects).toHaveLength(1);
    expect((await customer.aws.faults.counts())[id]).toBe(2);
  });
});

describe("what the options alone tell", () => {
  const create = (changes: Changes): string => {
    try {
      open(changes);
      return "opened";
    } catch (error) {
      return error instanceof StageError ? `${error.stage}.${error.code}` : String(error);
    }
  };

  // Attacks R1, R2.
  test("bad names, ARNs, ids and endpoints are refused before any request", async () => {
    const before = await customer.aws.requestCounts();
    expect(create({ bucket: "evil.com/x" })).toBe("connect.invalid_bucket_name");
    expect(create(role({ targetRoleArn: "arn:aws:iam::1:role/x" }))).toBe(
      "connect.invalid_credentials",
    );
    expect(create(role({ platformRoleArn: "platform" }))).toBe("connect.invalid_credentials");
    expect(create(role({ externalId: "" }))).toBe("connect.invalid_credentials");
    expect(create({ endpoint: "file:///etc/passwd" })).toBe("connect.endpoint_refused");
    expect(create({ endpoint: "http://s3.amazonaws.com@evil.example" })).toBe(
      "connect.endpoint_refused",
    );
    expect(
      create({
        bucket: "reader-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias",
        access: { kind: "key", accessKeyId: "A", secretAccessKey: "B" },
      }),
    ).toBe("connect.invalid_credentials");
    expect(await customer.aws.requestCounts()).toEqual(before);
  });
});
