import { Code, ConnectError } from "@connectrpc/connect";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isExternalId } from "../src/credentials/aws-names.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import {
  CLOSED,
  type InspectDouble,
  RIGHT_PASSPHRASE,
  startInspectDouble,
} from "./testing/inspect-double.ts";

const ROLE = { targetRoleArn: "arn:aws:iam::123456789012:role/reader", bucket: "acme-data" };
const SECRET_KEY = "canary-secret-key-77aa";
const PRIVATE_KEY = "canary-private-key-90cc";

describe.each(DATABASES.map((kind) => [kind.name, kind] as const))("on %s", (_name, kind) => {
  describe.skipIf(kind.absent !== undefined)("credentials", () => {
    let database: TestDatabase;
    let control: ControlUnderTest;
    let inspect: InspectDouble;

    beforeAll(async () => {
      database = await kind.create();
      inspect = await startInspectDouble();
      control = await startControlUnderTest(database, {
        SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1:9000",
      });
    }, 120_000);
    afterAll(async () => {
      await control?.close();
      await inspect?.close();
      await database?.remove();
    });

    const service = () => control.client(CredentialService);
    const createRole = async (name: string, more: Partial<typeof ROLE> = {}) => {
      const kindOf = { case: "iamRoleToRole" as const, value: { ...ROLE, ...more } };
      const { credential } = await service().createCredential({
        credential: { name, kind: kindOf },
      });
      if (credential === undefined) {
        throw new Error("no credential came back");
      }
      return credential;
    };
    const refusal = async (call: Promise<unknown>): Promise<ConnectError> => {
      try {
        await call;
      } catch (error) {
        return ConnectError.from(error);
      }
      throw new Error("the call was not refused");
    };

    test("keys can't be inspected while no worker is connected", async () => {
      const error = await refusal(
        service().createCredential({
          credential: {
            name: "too early",
            kind: { case: "pgp", value: { privateKeyBlock: PRIVATE_KEY } },
          },
        }),
      );
      expect(error.code).toBe(Code.Unavailable);
      expect(error.rawMessage).toBe("no ingest worker is connected");
      await control.announce(inspect.url);
    });

    test("the platform role and the external id are the tenant's, the same for all credentials", async () => {
      const first = await createRole("identity a");
      const second = await createRole("identity b");
      const identity = await service().getPlatformIdentity({});
      for (const credential of [first, second]) {
        expect(credential.kind.value).toMatchObject({
          platformRoleArn: identity.platformRoleArn,
          externalId: identity.externalId,
        });
      }
      expect(isExternalId(identity.externalId)).toBe(true);
      expect(identity.platformRoleArn).toBe("arn:aws:iam::000000000000:role/sluice-default");
    });

    test("the trust policy is a whole document that names the role and demands the external id", async () => {
      const { id } = await createRole("policy");
      const answer = await service().getTrustPolicy({ credentialId: id });
      expect(JSON.parse(answer.policyJson)).toEqual({
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "AllowSluiceAccess",
            Effect: "Allow",
            Principal: { AWS: answer.platformRoleArn },
            Action: "sts:AssumeRole",
            Condition: { StringEquals: { "sts:ExternalId": answer.externalId } },
          },
        ],
      });
    });

    test("what callers send as made by the service is not read", async () => {
      const { body } = await control.post("CredentialService/CreateCredential", {
        credential: {
          id: "mine",
          etag: "mine",
          plugin: "mine",
          name: "forged",
          iamRoleToRole: { ...ROLE, externalId: "mine", platformRoleArn: "mine" },
        },
      });
      expect(JSON.stringify(body)).not.toContain("mine");
    });

    test("creating twice with one request_id makes one credential, also at the same time", async () => {
      const request = {
        requestId: "r-1",
        credential: { name: "once", iamRoleToRole: ROLE },
      };
      const answers = await Promise.all(
        [1, 2, 3].map(() => control.post("CredentialService/CreateCredential", request)),
      );
      expect(new Set(answers.map(({ body }) => body.credential.id)).size).toBe(1);
      const other = await control.post("CredentialService/CreateCredential", {
        ...request,
        credential: { name: "another", iamRoleToRole: ROLE },
      });
      expect(other.body).toMatchObject({ code: "already_exists" });
      expect(other.body.message).toContain("request_id");
    });

    test("a name is taken whatever its case", async () => {
      await createRole("Acme");
      const error = await refusal(createRole("aCME"));
      expect(error.code).toBe(Code.AlreadyExists);
      expect(error.rawMessage).toContain('"aCME"');
    });

    test("an update changes the masked fields alone and gives a new etag", async () => {
      const before = await createRole("before");
      const { credential: after } = await service().updateCredential({
        credential: { id: before.id, etag: before.etag, name: "not masked", description: "new" },
        updateMask: { paths: ["description"] },
      });
      expect(after).toMatchObject({ name: "before", description: "new", kind: before.kind });
      expect(after?.etag).not.toBe(before.etag);
      const late = await refusal(
        service().updateCredential({
          credential: { id: before.id, etag: before.etag, description: "late" },
          updateMask: { paths: ["description"] },
        }),
      );
      expect(late.code).toBe(Code.Aborted);
    });

    test.each([
      ["etag"],
      ["nonsense"],
      ["iam_role_to_role.nonsense"],
      ["iam_role_to_role.external_id"],
    ])("a mask with %s is refused by that name", async (path) => {
      const { id } = await createRole(`mask ${path}`);
      const error = await refusal(
        service().updateCredential({ credential: { id }, updateMask: { paths: [path] } }),
      );
      expect(error.code).toBe(Code.InvalidArgument);
      expect(error.rawMessage).toContain(JSON.stringify(path));
    });

    test("the kind of a credential stays what it is", async () => {
      const { id } = await createRole("kind");
      const error = await refusal(
        service().updateCredential({
          credential: { id, kind: { case: "pgp", value: { passphrase: "x" } } },
          updateMask: { paths: ["pgp"] },
        }),
      );
      expect(error.rawMessage).toContain("credential.pgp");
    });

    test("a merged update is validated as a whole", async () => {
      const { id } = await createRole("merged");
      const error = await refusal(
        service().updateCredential({
          credential: { id, kind: { case: "iamRoleToRole", value: { bucket: "Bad_Name" } } },
          updateMask: { paths: ["iam_role_to_role.bucket"] },
        }),
      );
      expect(error.code).toBe(Code.InvalidArgument);
      expect(error.rawMessage).toContain("credential.iam_role_to_role.bucket");
    });

    test("a connection that works is answered with Connection successful, and kept", async () => {
      const { id } = await createRole("works");
      const { status } = await service().testCredential({ id });
      expect(status).toMatchObject({ summary: "Connection successful", successful: true });
      const { credential } = await service().getCredential({ id });
      expect(credential?.lastStatus?.summary).toBe("Connection successful");
      const { externalId } = await service().getPlatformIdentity({});
      expect(inspect.connections.at(-1)?.access.value).toMatchObject({ externalId });
    });

    test("a connection that does not work is an answer with stage, code and advice", async () => {
      const { id } = await createRole("fails", { bucket: `${CLOSED}bucket` });
      const { status } = await service().testCredential({ id });
      expect(status?.successful).toBe(false);
      expect(status?.summary).toBe(
        "The target role can't be assumed: [connect/invalid_credentials] the role refuses the external id",
      );
      expect(status?.checks[0]?.failure?.advice).toContain("trust policy");
    });

    test("another bucket forgets how the old one's test ended", async () => {
      const { id } = await createRole("moves");
      await service().testCredential({ id });
      const { credential } = await service().updateCredential({
        credential: { id, kind: { case: "iamRoleToRole", value: { bucket: "other-data" } } },
        updateMask: { paths: ["iam_role_to_role.bucket"] },
      });
      expect(credential?.lastStatus).toBeUndefined();
    });

    test("browsing passes a worker's objects on, and its failure with what to do", async () => {
      const open = await createRole("browse");
      const sources = control.client(SourceService);
      const page = await sources.browseObjects({ credentialId: open.id, prefix: "in/" });
      expect(page.objects[0]).toMatchObject({ key: "in/a.csv", size: 5_000_000_000n });
      const closed = await createRole("browse closed", { bucket: `${CLOSED}b` });
      const error = await refusal(sources.browseObjects({ credentialId: closed.id }));
      expect(error.code).toBe(Code.FailedPrecondition);
      const [failure] = error.findDetails(StageFailureSchema);
      expect(failure?.code).toBe("access_denied");
      expect(failure?.advice).toContain("s3:ListBucket");
    });

    test("pages follow the names, and a token of another filter is refused", async () => {
      for (const name of ["page c", "page a", "Page B"]) {
        await createRole(name);
      }
      const names: string[] = [];
      let pageToken = "";
      do {
        const page = await service().listCredentials({ pageSize: 2, pageToken });
        expect(page.credentials.length).toBeLessThanOrEqual(2);
        names.push(...page.credentials.map((credential) => credential.name));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      expect(names.filter((name) => name.toLowerCase().startsWith("page"))).toEqual([
        "page a",
        "Page B",
        "page c",
      ]);
      expect(new Set(names).size).toBe(names.length);
      const { nextPageToken } = await service().listCredentials({ pageSize: 1 });
      for (const request of [
        { pageToken: nextPageToken, plugin: "pgp" },
        { pageToken: "nonsense" },
      ]) {
        const error = await refusal(service().listCredentials(request));
        expect(error.code).toBe(Code.InvalidArgument);
        expect(error.rawMessage).toContain("page_token");
      }
    });

    test("a credential can be removed, once", async () => {
      const { id, etag } = await createRole("removed");
      expect((await refusal(service().deleteCredential({ id, etag: "old" }))).code).toBe(
        Code.Aborted,
      );
      await service().deleteCredential({ id, etag });
      const error = await refusal(service().getCredential({ id }));
      expect(error.code).toBe(Code.NotFound);
      expect(error.rawMessage).toContain(id);
    });

    test("a wrong passphrase is refused with the failure of the stage that would have met it", async () => {
      const error = await refusal(
        service().createCredential({
          credential: {
            name: "wrong passphrase",
            kind: {
              case: "pgp",
              value: { privateKeyBlock: PRIVATE_KEY, passphrase: "canary-wrong-31f0" },
            },
          },
        }),
      );
      expect(error.code).toBe(Code.InvalidArgument);
      expect(error.findDetails(StageFailureSchema)[0]).toMatchObject({ code: "bad_passphrase" });
    });

    // Attack R7.
    test("secrets are in no answer, no log and nowhere on disk", async () => {
      const answers: unknown[] = [];
      const key = { accessKeyId: "AK", secretAccessKey: SECRET_KEY, bucket: "acme-data" };
      const made = await control.post("CredentialService/CreateCredential", {
        requestId: "with secrets",
        credential: { name: "key", accessKey: { ...key, endpoint: "http://127.0.0.1:9000" } },
      });
      const pgp = await control.post("CredentialService/CreateCredential", {
        credential: {
          name: "pgp",
          pgp: { privateKeyBlock: PRIVATE_KEY, passphrase: RIGHT_PASSPHRASE, keyIds: ["forged"] },
        },
      });
      expect(pgp.body.credential.pgp).toEqual({
        fingerprints: ["ABCD0123"],
        keyIds: ["0123", "4567"],
      });
      const { id } = made.body.credential;
      answers.push(made, pgp);
      answers.push(await control.post("CredentialService/GetCredential", { id }));
      answers.push(await control.post("CredentialService/TestCredential", { id }));
      answers.push(await control.post("CredentialService/ListCredentials", {}));
      expect(inspect.connections.at(-1)?.access.value).toMatchObject({
        secretAccessKey: SECRET_KEY,
      });
      // Sent back as it was read, the credential keeps its secret.
      answers.push(
        await control.post("CredentialService/UpdateCredential", {
          credential: { id, accessKey: { ...key, secretAccessKey: "", bucket: "other-data" } },
          updateMask: "accessKey",
        }),
      );
      await control.post("CredentialService/TestCredential", { id });
      expect(inspect.connections.at(-1)).toMatchObject({ bucket: "other-data" });
      expect(inspect.connections.at(-1)?.access.value).toMatchObject({
        secretAccessKey: SECRET_KEY,
      });

      await control.close();
      const dump = await database.dump();
      expect(dump.includes("other-data")).toBe(true);
      const answered = JSON.stringify(answers);
      for (const canary of [SECRET_KEY, PRIVATE_KEY, RIGHT_PASSPHRASE, "canary-wrong-31f0"]) {
        expect(answered).not.toContain(canary);
        expect(control.logged()).not.toContain(canary);
        expect(dump.includes(canary)).toBe(false);
      }
      control = await startControlUnderTest(database, {
        SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1:9000",
      });
      await control.post("CredentialService/TestCredential", { id });
      expect(inspect.connections.at(-1)?.access.value).toMatchObject({
        secretAccessKey: SECRET_KEY,
      });
    }, 60_000);

    test("another master key is told at the start, not at the first secret", async () => {
      await control.close();
      await expect(
        startControlUnderTest(database, {
          SLUICE_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"),
        }),
      ).rejects.toThrow("SLUICE_MASTER_KEY");
      control = await startControlUnderTest(database);
    }, 60_000);
  });
});
