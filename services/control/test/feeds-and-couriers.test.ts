import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ControlUnderTest,
  type JsonAnswer,
  startControlUnderTest,
} from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { type InspectDouble, startInspectDouble } from "./testing/inspect-double.ts";

const ID = { incomingName: "id", name: "id", type: { integer: {} } };
const NAME = { incomingName: "Full Name", name: "full_name", type: { string: {} } };
const SPEC = { fields: [ID], primaryKey: ["id"] };

describe.each(DATABASES.map((kind) => [kind.name, kind] as const))("on %s", (_name, kind) => {
  describe.skipIf(kind.absent !== undefined)("feeds and couriers", () => {
    let database: TestDatabase;
    let control: ControlUnderTest;
    let inspect: InspectDouble;

    beforeAll(async () => {
      database = await kind.create();
      inspect = await startInspectDouble();
      control = await startControlUnderTest(database);
      await control.announce(inspect.url);
    }, 120_000);
    afterAll(async () => {
      await control?.close();
      await inspect?.close();
      await database?.remove();
    });

    const ok = ({ status, body }: JsonAnswer) => {
      expect(body).not.toHaveProperty("code");
      expect(status).toBe(200);
      return body;
    };
    const feeds = (method: string, body: unknown) => control.post(`FeedService/${method}`, body);
    const createFeed = async (name: string, spec: unknown = SPEC) =>
      ok(await feeds("CreateFeed", { feed: { source: "acme", name, spec } })).feed;
    const couriers = (method: string, body: unknown) =>
      control.post(`CourierService/${method}`, body);
    const createCredential = async (name: string) =>
      ok(
        await control.post("CredentialService/CreateCredential", {
          credential: {
            name,
            iamRoleToRole: {
              targetRoleArn: "arn:aws:iam::123456789012:role/reader",
              bucket: "acme-data",
            },
          },
        }),
      ).credential;
    const courierOf = (name: string, credentialId: string, feedId: string) => ({
      name,
      credentialId,
      prefix: "in/",
      files: [{ tag: "orders", pattern: "'orders-'yyyy-MM-dd'.csv'", settings: { delimited: {} } }],
      loads: [{ feedId, fileTag: "orders", operation: "LOAD_OPERATION_LOAD" }],
    });

    test("a feed is a draft until it is activated, and makes its source", async () => {
      const draft = await createFeed("first", { ...SPEC, fields: [{ ...ID, name: undefined }] });
      expect(draft).toMatchObject({ state: "STATE_DRAFT", source: "acme" });
      expect(draft.version).toBeUndefined();
      // The field's name follows from the file's.
      expect(draft.spec.fields[0].name).toBe("id");
      const { sources } = ok(await control.post("SourceService/ListSources", {}));
      expect(sources).toMatchObject([{ name: "acme" }]);
      const { feed } = ok(await feeds("ActivateFeed", { id: draft.id, etag: draft.etag }));
      expect(feed).toMatchObject({ state: "STATE_ACTIVE", version: 1, spec: draft.spec });
      expect(feed.draft).toBeUndefined();
    });

    test("a change waits in the draft, and activating it makes a new version", async () => {
      const { id } = await createFeed("versions");
      ok(await feeds("ActivateFeed", { id }));
      const spec = { ...SPEC, fields: [ID, NAME] };
      const { feed: edited } = ok(
        await feeds("UpdateFeed", { feed: { id, spec }, updateMask: "spec" }),
      );
      expect(edited).toMatchObject({ version: 1, spec: SPEC, draft: spec });
      const { feed: active } = ok(await feeds("ActivateFeed", { id }));
      expect(active).toMatchObject({ version: 2, spec });
      const { feed: again } = ok(await feeds("ActivateFeed", { id }));
      expect(again).toEqual(active);
    });

    test("a draft that says what is active already makes no version", async () => {
      const { id } = await createFeed("same");
      ok(await feeds("ActivateFeed", { id }));
      ok(await feeds("UpdateFeed", { feed: { id, spec: SPEC }, updateMask: "spec" }));
      const { feed } = ok(await feeds("ActivateFeed", { id }));
      expect(feed).toMatchObject({ version: 1 });
      expect(feed.draft).toBeUndefined();
    });

    test("an update below spec keeps the rest of the draft", async () => {
      const { id } = await createFeed("below");
      const { feed } = ok(
        await feeds("UpdateFeed", {
          feed: { id, spec: { errorThresholdPercent: 5 } },
          updateMask: "spec.errorThresholdPercent",
        }),
      );
      expect(feed.spec).toMatchObject({ ...SPEC, errorThresholdPercent: 5 });
      const refused = await feeds("UpdateFeed", {
        feed: { id, spec: { primaryKey: ["nobody"] } },
        updateMask: "spec.primaryKey",
      });
      expect(refused.body.message).toContain("feed.spec");
    });

    test("discarding takes the draft away, and a feed that had nothing else", async () => {
      const { id } = await createFeed("discards");
      ok(await feeds("ActivateFeed", { id }));
      const spec = { ...SPEC, makeAvailableToStitch: true };
      ok(await feeds("UpdateFeed", { feed: { id, spec }, updateMask: "spec" }));
      const { feed } = ok(await feeds("DiscardDraft", { id }));
      expect(feed).toMatchObject({ version: 1, spec: SPEC });
      expect(feed.draft).toBeUndefined();

      const { id: never } = await createFeed("never");
      expect(ok(await feeds("DiscardDraft", { id: never }))).toEqual({});
      expect((await feeds("GetFeed", { id: never })).body.code).toBe("not_found");
    });

    test("a stale etag is refused by every change of a feed", async () => {
      const { id } = await createFeed("stale");
      for (const [method, body] of [
        ["UpdateFeed", { feed: { id, etag: "old", spec: SPEC }, updateMask: "spec" }],
        ["ActivateFeed", { id, etag: "old" }],
        ["DiscardDraft", { id, etag: "old" }],
        ["DeleteFeed", { id, etag: "old" }],
      ] as const) {
        expect((await feeds(method, body)).body.code).toBe("aborted");
      }
      expect(ok(await feeds("GetFeed", { id })).feed.spec).toEqual(SPEC);
    });

    test("a feed's name is taken within its source, whatever its case", async () => {
      await createFeed("taken");
      const { body } = await feeds("CreateFeed", {
        feed: { source: "ACME", name: "TAKEN", spec: SPEC },
      });
      expect(body.code).toBe("already_exists");
      ok(await feeds("CreateFeed", { feed: { source: "other", name: "taken", spec: SPEC } }));
    });

    test("feeds are listed by source and name, page by page", async () => {
      for (const name of ["zeta", "alpha", "Beta"]) {
        ok(await feeds("CreateFeed", { feed: { source: "paged", name, spec: SPEC } }));
      }
      const names: string[] = [];
      let pageToken = "";
      do {
        const page = ok(await feeds("ListFeeds", { source: "Paged", pageSize: 2, pageToken }));
        names.push(...page.feeds.map((feed: { name: string }) => feed.name));
        pageToken = page.nextPageToken ?? "";
      } while (pageToken !== "");
      expect(names).toEqual(["alpha", "Beta", "zeta"]);
    });

    test("a courier keeps its feeds, credential and source from being removed", async () => {
      const credential = await createCredential("kept");
      const feed = await createFeed("kept");
      const { courier } = ok(
        await couriers("CreateCourier", {
          courier: courierOf("Keeper", credential.id, feed.id),
        }),
      );
      const source = ok(await control.post("SourceService/ListSources", {})).sources.find(
        (each: { name: string }) => each.name === "acme",
      );
      for (const [method, id, user] of [
        ["CredentialService/DeleteCredential", credential.id, "courier Keeper"],
        ["FeedService/DeleteFeed", feed.id, "courier Keeper"],
        ["FeedService/DiscardDraft", feed.id, "courier Keeper"],
        ["SourceService/DeleteSource", source.id, "feed "],
      ] as const) {
        const { body } = await control.post(method, { id });
        expect(body.code).toBe("failed_precondition");
        expect(body.message).toContain(user);
      }
      ok(await couriers("DeleteCourier", { id: courier.id, etag: courier.etag }));
      ok(await feeds("DeleteFeed", { id: feed.id }));
      ok(await control.post("CredentialService/DeleteCredential", { id: credential.id }));
    });

    test("a courier shows its credential's connection status", async () => {
      const credential = await createCredential("status");
      const feed = await createFeed("status");
      const { courier } = ok(
        await couriers("CreateCourier", { courier: courierOf("Status", credential.id, feed.id) }),
      );
      expect(courier.connectionStatus).toBeUndefined();
      ok(await control.post("CredentialService/TestCredential", { id: credential.id }));
      const got = ok(await couriers("GetCourier", { id: courier.id })).courier;
      expect(got.connectionStatus.summary).toBe("Connection successful");
    });

    test("a courier's update names other feeds, and lets go of those before", async () => {
      const credential = await createCredential("moving");
      const before = await createFeed("before");
      const after = await createFeed("after");
      const { courier } = ok(
        await couriers("CreateCourier", {
          courier: courierOf("Moving", credential.id, before.id),
          requestId: "m",
        }),
      );
      const { loads } = courierOf("", "", after.id);
      const updated = ok(
        await couriers("UpdateCourier", {
          courier: { id: courier.id, etag: courier.etag, loads },
          updateMask: "loads",
        }),
      ).courier;
      expect(updated).toMatchObject({ name: "Moving", prefix: "in/", loads });
      expect((await feeds("DeleteFeed", { id: before.id })).status).toBe(200);
      const listed = ok(await couriers("ListCouriers", { feedId: after.id })).couriers;
      expect(listed).toMatchObject([{ id: courier.id }]);
      const stale = await couriers("UpdateCourier", {
        courier: { id: courier.id, etag: courier.etag, name: "x" },
        updateMask: "name",
      });
      expect(stale.body.code).toBe("aborted");
      // Repeated, the creating call still gives the courier, as it is now.
      const again = ok(
        await couriers("CreateCourier", {
          courier: courierOf("Moving", credential.id, before.id),
          requestId: "m",
        }),
      ).courier;
      expect(again).toEqual(updated);
    });

    test("a bucket's credential can't open messages", async () => {
      const credential = await createCredential("wrong plugin");
      const feed = await createFeed("wrong_plugin");
      const courier = courierOf("Wrong", credential.id, feed.id);
      const settings = { delimited: {}, pgp: { credentialId: credential.id } };
      const { body } = await couriers("CreateCourier", {
        courier: { ...courier, files: [{ ...courier.files[0], settings }] },
      });
      expect(body.message).toContain("courier.files[0].settings.pgp.credential_id");
      expect(body.message).toContain("plugin amazon-s3, not pgp");
    });

    test("a domain table is described by a worker, counts exact; a draft's is not there", async () => {
      const { id } = await createFeed("described");
      const tables = (method: string, body: object) =>
        control.post(`DomainTableService/${method}`, body);
      expect(ok(await tables("GetDomainTable", { feedId: id })).domainTable).toEqual({
        feedId: id,
        database: "acme",
        table: "described",
      });
      expect(ok(await tables("SampleRows", { feedId: id }))).toEqual({});
      ok(await feeds("ActivateFeed", { id }));
      const { domainTable } = ok(await tables("GetDomainTable", { feedId: id }));
      expect(domainTable).toMatchObject({ exists: true, rows: "9007199254740993" });
      expect(inspect.feeds.at(-1)).toMatchObject({ feedId: id, version: 1, source: "acme" });
      const { rows } = ok(await tables("SampleRows", { feedId: id, maxRows: 3 }));
      expect(rows).toEqual([{ values: { id: "1", maxRows: 3 } }]);
    });
  });
});
