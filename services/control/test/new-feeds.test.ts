import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ControlUnderTest,
  type JsonAnswer,
  startControlUnderTest,
} from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";

const SPEC = {
  fields: [{ incomingName: "id", name: "id", type: { integer: {} } }],
  primaryKey: ["id"],
};

describe.each(DATABASES.map((kind) => [kind.name, kind] as const))("on %s", (_name, kind) => {
  describe.skipIf(kind.absent !== undefined)("a courier's new feed", () => {
    let database: TestDatabase;
    let control: ControlUnderTest;
    let credentialId: string;

    beforeAll(async () => {
      database = await kind.create();
      control = await startControlUnderTest(database);
      const { body } = await control.post("CredentialService/CreateCredential", {
        credential: {
          name: "Bucket",
          iamRoleToRole: {
            targetRoleArn: "arn:aws:iam::123456789012:role/reader",
            bucket: "acme-data",
          },
        },
      });
      credentialId = body.credential.id;
    }, 120_000);
    afterAll(async () => {
      await control?.close();
      await database?.remove();
    });

    const ok = ({ status, body }: JsonAnswer) => {
      expect(body).not.toHaveProperty("code");
      expect(status).toBe(200);
      return body;
    };
    const couriers = (method: string, body: unknown) =>
      control.post(`CourierService/${method}`, body);
    const feeds = async (source: string): Promise<{ id: string; name: string }[]> =>
      ok(await control.post("FeedService/ListFeeds", { source })).feeds ?? [];
    const sources = async (): Promise<string[]> =>
      (ok(await control.post("SourceService/ListSources", {})).sources ?? []).map(
        ({ name }: { name: string }) => name,
      );
    /** A courier of as many files as loads, each loaded into its feed. */
    const courierOf = (name: string, ...into: readonly object[]) => ({
      name,
      credentialId,
      files: into.map((_, at) => ({
        tag: `f${at}`,
        key: `${at}.csv`,
        settings: { delimited: {} },
      })),
      loads: into.map((feed, at) => ({
        ...feed,
        fileTag: `f${at}`,
        operation: "LOAD_OPERATION_LOAD",
      })),
    });
    const newFeed = (source: string, name: string, spec?: object) => ({
      newFeed: { source, name, ...(spec && { spec }) },
    });
    /** The fields that a refusal tells of, with their rules. */
    const told = ({ body }: JsonAnswer): string[] => {
      expect(body.code).toBe("invalid_argument");
      return body.details[0].debug.violations.map(
        ({ field, ruleId }: { field: { elements: PathElement[] }; ruleId: string }) =>
          `${pathOf(field.elements)} ${ruleId}`,
      );
    };

    test("is a draft of its source, existing or new, and the load has its id", async () => {
      const { courier } = ok(
        await couriers("CreateCourier", {
          courier: courierOf("Drafts", newFeed("drafts", "full", SPEC), newFeed("drafts", "bare")),
        }),
      );
      const [bare, full] = await feeds("drafts");
      expect(full).toMatchObject({ name: "full", state: "STATE_DRAFT", spec: SPEC });
      expect(bare).toMatchObject({ name: "bare", state: "STATE_DRAFT" });
      expect(bare).not.toHaveProperty("spec");
      expect(courier.loads).toMatchObject([{ feedId: full?.id }, { feedId: bare?.id }]);
      expect(courier.loads[0]).not.toHaveProperty("newFeed");
      expect(ok(await couriers("GetCourier", { id: courier.id })).courier).toEqual(courier);
      const found = ok(await couriers("ListCouriers", { feedId: bare?.id })).couriers;
      expect(found).toMatchObject([{ id: courier.id }]);
    });

    test("that is empty is filled by an update, and not activated before", async () => {
      const made = await couriers("CreateCourier", {
        courier: courierOf("Empty", newFeed("empty", "later")),
      });
      const { id: courierId } = ok(made).courier;
      const id = ok(made).courier.loads[0].feedId;
      const early = await control.post("FeedService/ActivateFeed", { id });
      expect(early.body).toMatchObject({
        code: "failed_precondition",
        message: expect.stringContaining("empty.later has no fields yet"),
      });
      const run = { id: courierId, date: "2026-03-01" };
      expect((await couriers("RunCourier", run)).body).toMatchObject({
        code: "failed_precondition",
        message: "feed empty.later is not active: activate it first",
      });
      const check = { feedId: id, credentialId, key: "0.csv" };
      expect((await control.post("FeedService/CheckFile", check)).body).toMatchObject({
        code: "failed_precondition",
        message: expect.stringContaining("no fields yet"),
      });
      const change = { feed: { id, spec: SPEC }, updateMask: "spec" };
      ok(await control.post("FeedService/UpdateFeed", change));
      const { feed } = ok(await control.post("FeedService/ActivateFeed", { id }));
      expect(feed).toMatchObject({ state: "STATE_ACTIVE", version: 1, spec: SPEC });
      expect(ok(await couriers("RunCourier", run)).workflowId).toBeDefined();
    });

    test("is made once for a request id", async () => {
      const request = {
        courier: courierOf("Once", newFeed("once", "feed", SPEC)),
        requestId: "once",
      };
      const first = ok(await couriers("CreateCourier", request)).courier;
      expect(ok(await couriers("CreateCourier", request)).courier).toEqual(first);
      expect(await feeds("once")).toHaveLength(1);
    });

    test("is made once by two calls of one request id at the same time", async () => {
      const request = { courier: courierOf("Twice", newFeed("twice", "feed")), requestId: "twice" };
      const [one, other] = await Promise.all([
        couriers("CreateCourier", request),
        couriers("CreateCourier", request),
      ]);
      expect(ok(one).courier).toEqual(ok(other).courier);
      expect(await feeds("twice")).toHaveLength(1);
    });

    test("is shared by loads that name it alike, whichever of them says what it is", async () => {
      const { courier } = ok(
        await couriers("CreateCourier", {
          courier: courierOf("Shared", newFeed("shared", "feed"), newFeed("Shared", "FEED", SPEC)),
        }),
      );
      const made = await feeds("shared");
      expect(made).toMatchObject([{ spec: SPEC }]);
      expect(courier.loads).toMatchObject([{ feedId: made[0]?.id }, { feedId: made[0]?.id }]);
      const other = { ...SPEC, errorThresholdPercent: 9 };
      const differing = await couriers("CreateCourier", {
        courier: courierOf("Two", newFeed("two", "feed", SPEC), newFeed("two", "feed", other)),
      });
      expect(told(differing)).toEqual(["courier.loads[1].new_feed.spec new_feed.specs_differ"]);
      const operations = courierOf("Two", newFeed("two", "feed"), newFeed("two", "feed"));
      Object.assign(operations.loads[1] ?? {}, { operation: "LOAD_OPERATION_TRUNCATE_AND_LOAD" });
      expect(told(await couriers("CreateCourier", { courier: operations }))).toEqual([
        "courier.loads[1].operation load.operations_differ",
      ]);
    });

    test("is refused with the place in its load, and nothing is made", async () => {
      const taken = { feed: { source: "refused", name: "taken", spec: SPEC } };
      const { feed } = ok(await control.post("FeedService/CreateFeed", taken));
      const existing = { feedId: feed.id };
      const create = async (...into: readonly object[]): Promise<JsonAnswer> =>
        await couriers("CreateCourier", { courier: courierOf("Refused", ...into) });
      const at = "courier.loads[1].new_feed";

      const conflict = await create(existing, newFeed("REFUSED", "Taken"));
      expect(told(conflict)).toEqual([`${at}.name feed.name_taken`]);
      expect(conflict.body.message).toContain(feed.id);
      expect(told(await create(existing, newFeed("system", "a__b")))).toEqual([
        `${at}.source feed.source`,
        `${at}.name feed.name`,
      ]);
      expect(told(await create(existing, newFeed("", "x")))).toEqual([
        `${at}.source string.min_len`,
      ]);
      const unknownKey = { ...SPEC, primaryKey: ["nobody"] };
      expect(told(await create(existing, newFeed("fresh", "x", unknownKey)))).toEqual([
        `${at}.spec feed_spec.primary_key_is_a_field`,
      ]);
      const fields = [...SPEC.fields, { incomingName: "_own", type: { string: {} } }];
      expect(told(await create(existing, newFeed("fresh", "x", { ...SPEC, fields })))).toEqual([
        `${at}.spec.fields[1].name field.name_reserved`,
      ]);
      expect(told(await create({}))).toEqual(["courier.loads[0].feed required"]);

      // A courier that can't be saved leaves neither its feed nor its source.
      ok(await create(existing));
      const again = await create(newFeed("fresh", "x", SPEC));
      expect(again.body.code).toBe("already_exists");
      expect(await feeds("refused")).toHaveLength(1);
      expect(await sources()).not.toContain("fresh");
    });

    test("comes with an update too, beside feeds that are there", async () => {
      const { courier } = ok(
        await couriers("CreateCourier", { courier: courierOf("Grows", newFeed("grows", "one")) }),
      );
      const { files, loads } = courierOf(
        "",
        { feedId: courier.loads[0].feedId },
        newFeed("grows", "two", SPEC),
      );
      const request = {
        courier: { id: courier.id, etag: courier.etag, files, loads },
        updateMask: "files,loads",
      };
      const { courier: grown } = ok(await couriers("UpdateCourier", request));
      const [one, two] = await feeds("grows");
      expect(grown.loads).toMatchObject([{ feedId: one?.id }, { feedId: two?.id }]);
      // Its etag keeps the update from being made twice; without it, the feed's name does.
      expect((await couriers("UpdateCourier", request)).body.code).toBe("aborted");
      const { etag: _, ...unpinned } = request.courier;
      const repeated = await couriers("UpdateCourier", { ...request, courier: unpinned });
      expect(told(repeated)).toEqual(["courier.loads[1].new_feed.name feed.name_taken"]);
    });
  });
});

interface PathElement {
  readonly fieldName: string;
  readonly index?: string;
}

function pathOf(elements: readonly PathElement[]): string {
  return elements
    .map(({ fieldName, index }) => (index === undefined ? fieldName : `${fieldName}[${index}]`))
    .join(".");
}
