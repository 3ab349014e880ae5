import { StageError } from "@sluice/errors";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PlanRequest, S3Source } from "../src/index.ts";
import { type CustomerBucket, openCustomerBucket } from "./customer-bucket.ts";

let customer: CustomerBucket;
let source: S3Source;

beforeAll(async () => {
  customer = await openCustomerBucket();
  source = customer.open();
  for (const key of [
    "in/2026-03-01/orders-b.csv",
    "in/2026-03-01/orders-a.csv",
    "in/2026-03-01/",
    "in/2026-03-02/orders-a.csv",
    "in/2026-03-02/deeper/orders-z.csv",
    "in/2026-03-02/customers.csv",
    "static.csv",
    "parts/2026-03-01.parquet/part-0",
    "parts/2026-03-01.parquet/part-1",
    "parts/2026-03-01.parquet/_SUCCESS",
    "parts/2026-03-01.parquet/_committed_7",
    "parts/2026-03-01.parquet/_started_7",
    "parts/2026-03-01.parquet/.part-0.crc",
    "parts/2026-03-02.parquet/_SUCCESS",
  ]) {
    await customer.put(key, key.endsWith("/") ? "" : `content of ${key}`);
  }
});

afterAll(async () => {
  await source.close();
  await customer[Symbol.asyncDispose]();
});

const ORDERS = "'in/'yyyy-MM-dd'/orders-*.csv'";

async function failure(request: PlanRequest): Promise<StageError> {
  const error = await source.plan(request).catch((thrown: unknown) => thrown);
  if (error instanceof StageError) return error;
  throw new Error("no StageError was thrown", { cause: error });
}

describe("planning", () => {
  test("matches each pattern for each day, in order of day and key, and numbers the objects", async () => {
    const { objects, missing } = await source.plan({
      selections: [
        { kind: "pattern", pattern: ORDERS },
        { kind: "pattern", pattern: "'parts/'yyyy-MM-dd'.parquet/'", isOptional: true },
      ],
      days: ["2026-03-02", "2026-03-01"],
      firstOrdinal: 41,
    });
    expect(objects.map(({ selection, object }) => [selection, object.date, object.key])).toEqual([
      [0, "2026-03-01", "in/2026-03-01/orders-a.csv"],
      [0, "2026-03-01", "in/2026-03-01/orders-b.csv"],
      [1, "2026-03-01", "parts/2026-03-01.parquet/part-0"],
      [1, "2026-03-01", "parts/2026-03-01.parquet/part-1"],
      [0, "2026-03-02", "in/2026-03-02/orders-a.csv"],
    ]);
    expect(objects.map(({ object }) => object.ordinal)).toEqual([41, 42, 43, 44, 45]);
    expect(missing).toMatchObject([{ selection: 1, day: "2026-03-02", isOptional: true }]);
  });

  test.each([{ days: ["2026-03-01", "2026-03-02"] }, { days: { until: "2026-03-09" } }])(
    "passes over what Spark leaves in a folder, and tells of it: %j",
    async ({ days }) => {
      const pattern = "'parts/'yyyy-MM-dd'.parquet/'";
      const { objects, passedOver } = await source.plan({
        selections: [{ kind: "pattern", pattern, isOptional: true }],
        days,
      });
      expect(objects.map(({ object }) => object.key)).toEqual([
        "parts/2026-03-01.parquet/part-0",
        "parts/2026-03-01.parquet/part-1",
      ]);
      expect(passedOver).toEqual([
        {
          selection: 0,
          keys: 5,
          examples: [
            "parts/2026-03-01.parquet/.part-0.crc",
            "parts/2026-03-01.parquet/_SUCCESS",
            "parts/2026-03-01.parquet/_committed_7",
          ],
        },
      ]);
    },
  );

  test("finds such objects by their key, and by a pattern that is not of a folder", async () => {
    const key = "parts/2026-03-01.parquet/_committed_7";
    const selections = [
      { kind: "key", key },
      { kind: "pattern", pattern: "'parts/'yyyy-MM-dd'.parquet/_committed_*'" },
      { kind: "pattern", pattern: "'parts/'yyyy-MM-dd'.parquet/*'" },
    ] as const;
    const { objects, passedOver } = await source.plan({ selections, days: ["2026-03-01"] });
    const keys = [0, 1, 2].map(
      (wanted) => objects.filter(({ selection }) => selection === wanted).length,
    );
    expect(keys).toEqual([1, 1, 6]);
    expect(passedOver).toEqual([]);
  });

  test("pins each object by what a HEAD says of it", async () => {
    const { objects } = await source.plan({
      selections: [{ kind: "pattern", pattern: ORDERS }],
      days: ["2026-03-02"],
    });
    const head = await source.head("in/2026-03-02/orders-a.csv");
    expect(objects[0]?.object).toEqual({
      bucket: "customer-files",
      key: head.key,
      etag: head.etag,
      size: head.size,
      date: "2026-03-02",
      ordinal: 1,
    });
  });

  test("takes what is the same on all days once, for the last of them", async () => {
    const { objects } = await source.plan({
      selections: [
        { kind: "key", key: "static.csv" },
        { kind: "pattern", pattern: "'static.*'" },
      ],
      days: ["2026-03-01", "2026-03-02", "2026-03-03"],
    });
    expect(objects.map(({ selection, object }) => [selection, object.key, object.date])).toEqual([
      [0, "static.csv", "2026-03-03"],
      [1, "static.csv", "2026-03-03"],
    ]);
  });

  test("takes a key that two days match once, for the later day", async () => {
    const { objects } = await source.plan({
      selections: [{ kind: "pattern", pattern: "'in/2026-03-02/'*dd*", isOptional: true }],
      days: ["2026-03-01", "2026-03-02"],
    });
    expect(objects).toEqual([]);
    const twice = await source.plan({
      selections: [{ kind: "pattern", pattern: "'parts/2026-'MM-*'.parquet/part-*'" }],
      days: ["2026-03-01", "2026-03-02"],
    });
    expect(twice.objects.map(({ object }) => object.date)).toEqual(["2026-03-02", "2026-03-02"]);
  });

  test("says what a required pattern looked for, how much was there and what came nearest", async () => {
    const error = await failure({
      selections: [{ kind: "pattern", pattern: "'in/'yyyy-MM-dd'/orders_*.csv'" }],
      days: ["2026-03-01"],
    });
    expect([error.stage, error.code]).toEqual(["list", "file_not_found"]);
    expect(error.expected).toBe("in/2026-03-01/orders_*.csv");
    expect(error.rawMessage).toContain("no object matches in/2026-03-01/orders_*.csv");
    expect(error.rawMessage).toContain("the nearest are in/2026-03-01/orders-a.csv");
  });

  test("counts the keys that stood under the prefix without matching", async () => {
    const error = await failure({
      selections: [{ kind: "pattern", pattern: "'in/2026-03-01/orders-*.tsv'" }],
      days: ["2026-03-01"],
    });
    expect(error.seen).toBe("2 keys under in/2026-03-01/orders-");
  });

  test("suggests the neighbours of a missing key", async () => {
    const error = await failure({
      selections: [
        { kind: "key", key: "in/2026-03-02/customer.csv" },
        { kind: "key", key: "other" },
      ],
      days: ["2026-03-02"],
    });
    expect(error.rawMessage).toContain("the nearest are in/2026-03-02/customers.csv");
    expect(error.rawMessage).toContain("1 more required files are missing");
  });

  test("goes on without required files when a person said so", async () => {
    const { objects, missing } = await source.plan({
      selections: [
        { kind: "key", key: "none.csv" },
        { kind: "key", key: "static.csv" },
      ],
      days: ["2026-03-02"],
      skipMissing: true,
    });
    expect(objects.map(({ object }) => object.key)).toEqual(["static.csv"]);
    expect(missing).toMatchObject([{ selection: 0, lookedFor: "none.csv", isOptional: false }]);
  });

  test("says for which days a pattern that fails the run finds files, and for no optional one beside others", async () => {
    const pattern = { kind: "pattern", pattern: ORDERS } as const;
    const early = await failure({ selections: [pattern], days: ["2026-01-31"] });
    expect(early.rawMessage).toContain(
      "2026-01-31 is before the oldest file that the pattern finds, of 2026-03-01; the nearest days with files are 2026-03-01, 2026-03-02",
    );
    const always = { kind: "key", key: "static.csv" } as const;
    const beside = await source.plan({
      selections: [always, { ...pattern, isOptional: true }],
      days: ["2026-01-31"],
    });
    expect(beside.missing).toMatchObject([{ selection: 1, isOptional: true }]);
    expect(beside.missing[0]?.matchingDays).toBeUndefined();
    const alone = await source.plan({
      selections: [{ ...pattern, isOptional: true }],
      days: ["2026-01-31"],
    });
    const days = ["2026-03-01", "2026-03-02"];
    expect(alone.missing[0]?.matchingDays).toEqual({
      oldest: days[0],
      newest: days[1],
      nearest: days,
      isComplete: true,
    });
  });

  test("takes every object for its own day when it is asked for everything", async () => {
    const { objects, missing } = await source.plan({
      selections: [
        { kind: "pattern", pattern: ORDERS },
        { kind: "key", key: "static.csv" },
        { kind: "pattern", pattern: "'none-'yyyy", isOptional: true },
      ],
      days: { until: "2026-03-05" },
    });
    expect(objects.map(({ object }) => [object.date, object.key])).toEqual([
      ["2026-03-01", "in/2026-03-01/orders-a.csv"],
      ["2026-03-01", "in/2026-03-01/orders-b.csv"],
      ["2026-03-02", "in/2026-03-02/orders-a.csv"],
      ["2026-03-05", "static.csv"],
    ]);
    expect(missing).toMatchObject([{ selection: 2, lookedFor: "'none-'yyyy" }]);
  });

  test("refuses a bad pattern before any request", async () => {
    const before = await customer.aws.requestCounts();
    const error = await failure({
      selections: [{ kind: "pattern", pattern: "'in/'yyy" }],
      days: ["2026-03-02"],
    });
    expect(error.rawMessage).toContain("character 6");
    expect(await customer.aws.requestCounts()).toEqual(before);
  });
});
