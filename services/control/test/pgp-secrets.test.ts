import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import {
  type InspectDouble,
  RIGHT_PASSPHRASE,
  startInspectDouble,
} from "./testing/inspect-double.ts";

describe.each(DATABASES.map((kind) => [kind.name, kind] as const))("on %s", (_name, kind) => {
  describe.skipIf(kind.absent !== undefined)("the secrets that a look at an object gets", () => {
    let database: TestDatabase;
    let control: ControlUnderTest;
    let inspect: InspectDouble;
    let bucketId: string;
    /** The newest last; one more than are tried, and one of an id each. */
    const pgpIds: string[] = [];

    const create = async (credential: object): Promise<string> => {
      const { body } = await control.post("CredentialService/CreateCredential", { credential });
      expect(body).not.toHaveProperty("code");
      return body.credential.id;
    };
    beforeAll(async () => {
      database = await kind.create();
      inspect = await startInspectDouble();
      control = await startControlUnderTest(database);
      await control.announce(inspect.url);
      bucketId = await create({
        name: "bucket",
        iamRoleToRole: { targetRoleArn: "arn:aws:iam::123456789012:role/reader", bucket: "acme" },
      });
      for (let at = 0; at <= 20; at++) {
        const privateKeyBlock = `key id ${`A${at}`.padStart(16, "0")}`;
        pgpIds.push(
          await create({ name: `k${at}`, pgp: { privateKeyBlock, passphrase: RIGHT_PASSPHRASE } }),
        );
      }
    }, 120_000);
    afterAll(async () => {
      await control?.close();
      await inspect?.close();
      await database?.remove();
    });

    const infer = async (
      key: string,
      more: object = {},
    ): Promise<readonly string[] | undefined> => {
      const request = { credentialId: bucketId, key, ...more };
      const { body } = await control.post("SourceService/InferFileSettings", request);
      expect(body).not.toHaveProperty("code");
      return inspect.secretsFor.get(key);
    };

    test("are none for an object that is no message", async () => {
      expect(await infer("plain.csv")).toEqual([]);
      const request = { credentialId: bucketId, key: "seen.csv" };
      await control.post("SourceService/PreviewObject", request);
      expect(inspect.secretsFor.get("seen.csv")).toEqual([]);
    });

    test("are those of the keys that the message names", async () => {
      expect(await infer("to-00000000000000A0,to-00000000000000A7")).toEqual([
        pgpIds[7],
        pgpIds[0],
      ]);
    });

    test("are none when no credential has such a key", async () => {
      expect(await infer("to-FFFFFFFFFFFFFFFF")).toEqual([]);
    });

    test("are those of a bounded number, the fitting first, for a passphrase or a hidden recipient", async () => {
      const newestFirst = pgpIds.toReversed();
      expect(await infer("to-others")).toEqual(newestFirst.slice(0, 20));
      expect(await infer("to-00000000000000A0,to-others")).toEqual([
        pgpIds[0],
        ...newestFirst.slice(0, 19),
      ]);
    });

    test("are those that the caller names, whatever the object is", async () => {
      expect(await infer("named.csv", { pgpCredentialId: pgpIds[3] })).toEqual([pgpIds[3]]);
      const settings = { pgp: { credentialId: pgpIds[4] } };
      expect(await infer("set.csv", { settings })).toEqual([pgpIds[4]]);
      expect(await infer("known.csv", { settings: { delimited: {} } })).toEqual([]);
    });
  });
});
