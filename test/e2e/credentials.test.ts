import { Code, ConnectError } from "@connectrpc/connect";
import {
  ConnectionCheck_Name,
  ConnectionCheck_Outcome,
  type ConnectionStatus,
} from "@sluice/api/control/v1/credential_pb";
import { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CSV, DAY, INTEGER, type Story, startStory } from "./story.ts";

let story: Story;
let feedId = "";
beforeAll(async () => {
  story = await startStory();
  feedId = await story.feed("access", "numbers", {
    fields: [{ incomingName: "id", type: INTEGER, require: true }],
    primaryKey: ["id"],
  });
});
afterEach(async () => await story.local.aws.faults.clear());
afterAll(async () => await story[Symbol.asyncDispose]());

const CONDITION = (externalId: string) => ({ StringEquals: { "sts:ExternalId": externalId } });
const READING = ["s3:ListBucket", "s3:GetObject"];

/** Makes or changes a role of the customer's: who may assume it, under which condition, and what it may do then. */
async function role(
  name: string,
  { condition, actions = READING }: { condition?: object | "closed"; actions?: string[] } = {},
): Promise<string> {
  const { platformRoleArn, externalId } = await story.credentials.getPlatformIdentity({});
  const { arn } = await story.local.aws.putRole({
    name,
    trustPolicy: {
      Statement:
        condition === "closed"
          ? { Effect: "Deny", Principal: "*", Action: "sts:AssumeRole" }
          : {
              Effect: "Allow",
              Principal: { AWS: platformRoleArn },
              Action: "sts:AssumeRole",
              Condition: { ...(condition ?? CONDITION(externalId)) },
            },
    },
    policy: {
      Statement: {
        Effect: actions.length === 0 ? "Deny" : "Allow",
        Action: actions.length === 0 ? "*" : actions,
        Resource: "*",
      },
    },
  });
  return arn;
}

async function credential(name: string, targetRoleArn: string, bucket: string): Promise<string> {
  const made = await story.credentials.createCredential({
    credential: { name, kind: { case: "iamRoleToRole", value: { targetRoleArn, bucket } } },
  });
  return made.credential?.id ?? "";
}

async function tested(id: string): Promise<ConnectionStatus> {
  const { status } = await story.credentials.testCredential({ id });
  if (status === undefined) throw new Error("the test has no outcome");
  return status;
}

const wordOf = (words: Readonly<Record<string, number>>, number: number): string =>
  Object.keys(words).find((word) => words[word] === number) ?? "";

const outcomes = ({ checks }: ConnectionStatus): string[] =>
  checks.map(({ name, outcome, failure }) =>
    [wordOf(ConnectionCheck_Name, name), wordOf(ConnectionCheck_Outcome, outcome), failure?.code]
      .filter((part) => part !== undefined)
      .join(" "),
  );

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.catch((thrown: unknown) => thrown);
  if (error instanceof ConnectError) return error;
  throw new Error("the call was not refused", { cause: error });
}

describe("credentials", () => {
  it("describes every type so that a form can be drawn (CR-1, CR-2, CR-7, CR-18, CR-19, CR-21)", async () => {
    const { credentialTypes } = await story.credentials.listCredentialTypes({});
    expect(credentialTypes.map(({ name }) => name)).toEqual([
      "access-key",
      "iam-role-to-role",
      "pgp",
    ]);
    const role = credentialTypes.find(({ name }) => name === "iam-role-to-role");
    expect(role?.help).toContain("administrative access");
    const settings = new Map(role?.settings.map((setting) => [setting.name, setting]));
    expect(
      [...settings.values()].filter(({ required }) => required).map(({ label }) => label),
    ).toEqual(["Target Role ARN", "S3 Bucket Name"]);
    const matches = (name: string, value: string): boolean =>
      new RegExp(`^(?:${settings.get(name)?.pattern})$`).test(value);
    for (const value of ["ab", "a+=,.@:/-9", "x".repeat(1224)]) {
      expect(matches("external_id", value)).toBe(true);
    }
    for (const value of ["a", "x".repeat(1225), "a b", "a_b", "a#b"]) {
      expect(matches("external_id", value)).toBe(false);
    }
    const { externalId } = await story.credentials.getPlatformIdentity({});
    expect(settings.get("external_id")).toMatchObject({ readOnly: true, value: externalId });
    const pgp = credentialTypes.find(({ name }) => name === "pgp");
    expect(pgp?.settings.filter(({ secret }) => secret).map(({ name }) => name)).toEqual([
      "private_key_block",
      "passphrase",
    ]);
  });

  it("makes the platform role and the external id itself, one per tenant, for nobody to change (CR-3, CR-4, CR-7)", async () => {
    const identity = await story.credentials.getPlatformIdentity({});
    expect(identity.externalId).toMatch(/^[A-Za-z0-9+=,.@:/-]{2,1224}$/);
    const targetRoleArn = await role("mine");
    const { credential: made } = await story.credentials.createCredential({
      credential: {
        name: "With an id of my own",
        kind: {
          case: "iamRoleToRole",
          value: { targetRoleArn, bucket: story.customer.bucket, externalId: "my own id" },
        },
      },
    });
    expect(made?.kind.value).toMatchObject({
      externalId: identity.externalId,
      platformRoleArn: identity.platformRoleArn,
    });
    const error = await refusal(
      story.credentials.updateCredential({
        credential: {
          id: made?.id ?? "",
          kind: { case: "iamRoleToRole", value: { externalId: "mine" } },
        },
        updateMask: { paths: ["iam_role_to_role.external_id"] },
      }),
    );
    expect(error.rawMessage).toContain("iam_role_to_role.external_id");
  });

  it("renders a trust policy that works as it is pasted (CR-5, CR-6, CR-8)", async () => {
    const { policyJson, platformRoleArn, externalId } = await story.credentials.getTrustPolicy({});
    const policy = JSON.parse(policyJson);
    expect(policy).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: expect.any(String),
          Effect: "Allow",
          Principal: { AWS: platformRoleArn },
          Action: "sts:AssumeRole",
          Condition: { StringEquals: { "sts:ExternalId": externalId } },
        },
      ],
    });
    const { arn } = await story.local.aws.putRole({
      name: "pasted",
      trustPolicy: policy,
      policy: { Statement: { Effect: "Allow", Action: READING, Resource: "*" } },
    });
    await story.customer.put("pasted.csv", "id\n1\n");
    const status = await tested(await credential("Pasted", arn, story.customer.bucket));
    expect(status.summary).toBe("Connection successful");
  });

  it("names the field of a setting that can't be right, before any request (CR-1, CR-2, CR-15, CR-16, CR-22)", async () => {
    const before = await story.local.aws.requestCounts();
    const targetRoleArn = "arn:aws:iam::123456789012:role/reader";
    const point = "reader-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias";
    const cases: [
      string,
      Parameters<typeof story.credentials.createCredential>[0]["credential"],
    ][] = [
      ["bucket", { kind: { case: "iamRoleToRole", value: { targetRoleArn } } }],
      ["target_role_arn", { kind: { case: "iamRoleToRole", value: { bucket: "acme" } } }],
      [
        "target_role_arn",
        {
          kind: {
            case: "iamRoleToRole",
            value: { targetRoleArn: "arn:aws:iam::1:role/x", bucket: "acme" },
          },
        },
      ],
      ...[
        "My_Bucket",
        "a",
        "10.0.0.1",
        "evil.com/x",
        "arn:aws:sqs:eu-west-1:123456789012:q",
        "arn:aws:s3:eu-west-1:12:accesspoint/x",
        "a..b",
      ].map((bucket): [string, object] => [
        "bucket",
        { kind: { case: "iamRoleToRole", value: { targetRoleArn, bucket } } },
      ]),
      [
        "bucket",
        {
          kind: {
            case: "accessKey",
            value: { accessKeyId: "AK", secretAccessKey: "s", bucket: point },
          },
        },
      ],
    ];
    for (const [field, kind] of cases) {
      const error = await refusal(
        story.credentials.createCredential({ credential: { name: "Wrong", ...kind } }),
      );
      expect(error.code).toBe(Code.InvalidArgument);
      expect(error.rawMessage).toMatch(new RegExp(`credential\\.\\w+\\.${field}\\b`));
    }
    expect(await story.local.aws.requestCounts()).toEqual(before);
  });

  it("tells which step of a connection fails, and warns of an open trust policy (CR-23)", async () => {
    await story.customer.put("tested.csv", "id\n1\n");
    const { bucket } = story.customer;
    const id = await credential("Stepwise", await role("stepwise"), bucket);
    expect(await tested(id)).toMatchObject({ successful: true, summary: "Connection successful" });

    await role("stepwise", { condition: CONDITION("another-id") });
    expect(outcomes(await tested(id))).toEqual([
      "ASSUME_ROLE FAILED invalid_credentials",
      "REACH_BUCKET SKIPPED",
      "LIST SKIPPED",
      "READ SKIPPED",
      "REFUSES_WRONG_EXTERNAL_ID SKIPPED",
    ]);
    await role("stepwise", { actions: ["s3:GetObject"] });
    expect(outcomes(await tested(id))[2]).toBe("LIST FAILED access_denied");
    await role("stepwise", { actions: ["s3:ListBucket"] });
    expect(outcomes(await tested(id))[3]).toBe("READ FAILED access_denied");
    const nowhere = await credential("Nowhere", await role("stepwise"), "no-such-bucket-here");
    expect(outcomes(await tested(nowhere))[1]).toBe("REACH_BUCKET FAILED bucket_not_found");

    const { externalId } = await story.credentials.getPlatformIdentity({});
    for (const condition of [{}, { StringEqualsIfExists: { "sts:ExternalId": externalId } }]) {
      await role("stepwise", { condition });
      const status = await tested(id);
      expect(outcomes(status).at(-1)).toBe("REFUSES_WRONG_EXTERNAL_ID WARNING trust_policy_open");
      expect(status.successful).toBe(true);
      expect(status.summary).toMatch(/with a warning: The trust policy is open/i);
    }
  });

  it("reads through an access point, and refuses one for a VPC only by its code (CR-15, CR-17)", async () => {
    const { bucket } = story.customer;
    const actions = [...READING, "s3:GetAccessPoint"];
    const arn = await role("through-point", { actions });
    await story.customer.put(`point/${DAY}.csv`, "id\n77\n");
    const open = await story.local.aws.createAccessPoint({ name: "open-point", bucket });
    const id = await credential("Access point", arn, open.alias);
    expect((await tested(id)).summary).toBe("Connection successful");
    const courierId = await story.courier({
      feedId,
      key: `point/${DAY}.csv`,
      credentialId: id,
    });
    expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);
    expect(await story.rows("SELECT id FROM access.numbers WHERE id = 77")).toEqual([{ id: 77 }]);

    const byArn = await credential("Access point by ARN", arn, open.arn);
    expect((await tested(byArn)).summary).toBe("Connection successful");
    await story.customer.put(`by-arn/${DAY}.csv`, "id\n78\n");
    const pulled = await story.run(
      await story.courier({ feedId, pattern: "'by-arn/'yyyy-MM-dd'.csv'", credentialId: byArn }),
    );
    expect(pulled.failure).toBeUndefined();
    expect(pulled.state).toBe(Workflow_State.SUCCEEDED);
    expect(await story.rows("SELECT id FROM access.numbers WHERE id = 78")).toEqual([{ id: 78 }]);

    const inner = await story.local.aws.createAccessPoint({
      name: "inner-point",
      bucket,
      isVpcOnly: true,
    });
    const vpc = await credential("VPC only", arn, inner.alias);
    expect(outcomes(await tested(vpc))[1]).toBe("REACH_BUCKET FAILED access_point_vpc_only");
    const vpcByArn = await credential("VPC only by ARN", arn, inner.arn);
    expect(outcomes(await tested(vpcByArn))[1]).toBe("REACH_BUCKET FAILED access_point_vpc_only");
    const run = await story.run(
      await story.courier({ feedId, pattern: "'point/'yyyy-MM-dd'.csv'", credentialId: vpc }),
    );
    expect(run.failure).toMatchObject({ stage: Stage.CONNECT, code: "access_point_vpc_only" });
  });

  it("has a name, a description and a plugin, and a courier needs one that is there (CR-19, CR-20, CR-24, CR-25)", async () => {
    const { credential: made } = await story.credentials.createCredential({
      credential: {
        name: "Partner files",
        description: "What the partner drops every night",
        kind: {
          case: "iamRoleToRole",
          value: { targetRoleArn: await role("partner"), bucket: story.customer.bucket },
        },
      },
    });
    expect(made).toMatchObject({
      name: "Partner files",
      description: "What the partner drops every night",
      plugin: "amazon-s3",
    });
    const listed = await story.credentials.listCredentials({ plugin: "amazon-s3" });
    expect(listed.credentials.map(({ name }) => name)).toContain("Partner files");
    expect((await story.credentials.listCredentials({ plugin: "pgp" })).credentials).toEqual([]);
    const error = await refusal(
      story.courier({ feedId, key: "a.csv", credentialId: "cred_that_is_not_there" }),
    );
    expect(error.rawMessage).toContain("credential_id");

    await tested(made?.id ?? "");
    const courierId = await story.courier({ feedId, key: "a.csv", credentialId: made?.id ?? "" });
    const { courier } = await story.couriers.getCourier({ id: courierId });
    expect(courier?.connectionStatus?.summary).toBe("Connection successful");
  });

  it("keeps no keys, writes nothing to the customer, and shows the files it sees (CR-9, CR-10, CR-11, CR-13, CR-14)", async () => {
    await story.customer.put(`seen/${DAY}.csv`, "id\n5\n");
    const before = await story.local.aws.requestCounts();
    const page = await story.sources.browseObjects({
      credentialId: story.credentialId,
      prefix: "seen/",
    });
    expect(page.objects).toEqual([
      expect.objectContaining({
        key: `seen/${DAY}.csv`,
        size: 5n,
        etag: expect.stringMatching(/^"?[0-9a-f]{32}"?$/),
        modifyTime: expect.anything(),
        storageClass: "STANDARD",
      }),
    ]);
    const courierId = await story.courier({ feedId, pattern: "'seen/'yyyy-MM-dd'.csv'" });
    expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);
    const missing = await story.run(courierId, "2026-11-19");
    expect(missing.failure).toMatchObject({ stage: Stage.LIST, code: "file_not_found" });
    expect(missing.failure?.expected).toContain("seen/2026-11-19.csv");
    const after = await story.local.aws.requestCounts();
    const asked = Object.keys(after).filter((name) => after[name] !== before[name]);
    expect(asked).toContain("AssumeRole");
    // Nothing but looking and reading, and nothing of IAM.
    expect(
      asked.filter((name) => !/^(AssumeRole|GetCallerIdentity|List|Get|Head)/.test(name)),
    ).toEqual([]);
    const { credential: kept } = await story.credentials.getCredential({ id: story.credentialId });
    expect(JSON.stringify(kept?.kind.value)).not.toMatch(/secret|accessKey/i);
  });
});

describe("access that is withdrawn", () => {
  /** A load that has begun to read and waits for more, then loses its access, and must end by itself. */
  async function revoked(name: string, withdraw: () => Promise<unknown>): Promise<void> {
    const { customer } = story;
    const key = `${name}.csv`;
    const rows = Array.from({ length: 200_000 }, (_, n) => n + 1_000_000);
    await customer.put(key, `id\n${rows.join("\n")}\n`);
    const courierId = await story.courier({
      feedId,
      key,
      settings: CSV,
      credentialId: await credential(name, await role(name), customer.bucket),
    });
    // Every answer stops after its first bytes: without access being withdrawn the load would go on for ever.
    await story.local.aws.faults.add({
      key,
      operation: "GetObject",
      effect: { kind: "stall", afterBytes: 100_000 },
    });
    const { workflowId } = await story.couriers.runCourier({
      id: courierId,
      scope: { case: "date", value: DAY },
    });
    while ((await story.local.aws.bytesSent(customer.bucket, key)) < 100_000) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await withdraw();
    const withdrawn = Date.now();
    for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
    expect(Date.now() - withdrawn).toBeLessThan(60_000);
    const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
    expect(workflow?.state).toBe(Workflow_State.FAILED);
    expect(workflow?.failure).toMatchObject({
      stage: Stage.CONNECT,
      code: "access_revoked",
      action: ActionKind.INVALID_CREDENTIALS,
      coordinate: { key },
    });
    expect(await story.rows("SELECT id FROM access.numbers WHERE id >= 1000000")).toEqual([]);
  }

  it("ends a running load when the role's trust is taken away (CR-12)", async () => {
    await revoked("trust-gone", async () => await role("trust-gone", { condition: "closed" }));
  });

  it("ends a running load when the right to read is taken away (CR-12)", async () => {
    await revoked("rights-gone", async () => await role("rights-gone", { actions: [] }));
  });
});

describe("the catalog", () => {
  it("lists plugins by name, found by any part of it, and each leads to its credentials and couriers (CO-1, CO-2, CO-3)", async () => {
    const { plugins } = await story.sources.listPlugins({});
    const names = plugins.map(({ name }) => name);
    expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b)));
    for (const search of ["ama", "AMAZON", "zon s", "S3"]) {
      const found = await story.sources.listPlugins({ search });
      expect(found.plugins.map(({ id }) => id)).toContain("amazon-s3");
    }
    expect((await story.sources.listPlugins({ search: "snowflake" })).plugins).toEqual([]);
    const [row] = plugins;
    const { credentialTypes } = await story.credentials.listCredentialTypes({
      plugin: row?.id ?? "",
    });
    expect(credentialTypes.map(({ kind }) => kind).sort()).toEqual(
      [...(row?.credentialKinds ?? [])].sort(),
    );
    const courierId = await story.courier({ feedId, key: "listed.csv" });
    const { couriers } = await story.couriers.listCouriers({ pageSize: 1000 });
    expect(couriers.map(({ id }) => id)).toContain(courierId);
  });
});
