import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { S3Source } from "../src/index.ts";
import { type CustomerBucket, openCustomerBucket } from "./customer-bucket.ts";

const ODD_KEYS = [
  "odd/100%",
  "odd/a+b",
  "odd/a b",
  "odd//double",
  "odd/ünï☃𝒳",
  "odd/%2e%2e",
  "odd/<&>\"'",
  "odd/line\nbreak",
  "odd/\u0001control",
  `odd/${"x".repeat(1020)}`,
];
const MANY = Array.from({ length: 1001 }, (_, index) => `many/${String(index).padStart(4, "0")}`);

let customer: CustomerBucket;
let source: S3Source;

beforeAll(async () => {
  customer = await openCustomerBucket();
  source = customer.open();
  for (const key of [
    ...ODD_KEYS,
    ...MANY,
    "folder/",
    "folder/file",
    "folder/sub/",
    "folder/sub/x",
  ]) {
    await customer.put(key, key.endsWith("/") ? "" : "x");
  }
}, 60_000);

afterAll(async () => {
  await source.close();
  await customer[Symbol.asyncDispose]();
});

async function keys(prefix: string, pageSize?: number): Promise<string[]> {
  const found: string[] = [];
  const request = { prefix, ...(pageSize === undefined ? {} : { pageSize }) };
  for await (const { key } of source.listAll(request)) found.push(key);
  return found;
}

describe("listing", () => {
  test("gives each of 1,001 keys once, over two pages", async () => {
    const before = (await customer.aws.requestCounts()).ListObjectsV2 ?? 0;
    expect(await keys("many/")).toEqual(MANY);
    expect((await customer.aws.requestCounts()).ListObjectsV2).toBe(before + 2);
  });

  test("gives odd keys exactly as they are, page after page", async () => {
    const found = await keys("odd/", 3);
    expect(found.toSorted()).toEqual(ODD_KEYS.toSorted());
  });

  test("gives one page and a token for the next", async () => {
    const first = await source.list({ prefix: "many/", pageSize: 2 });
    expect(first.objects.map(({ key }) => key)).toEqual(["many/0000", "many/0001"]);
    expect(first.objects[0]).toMatchObject({ size: 1, storageClass: "STANDARD" });
    expect(first.objects[0]?.etag).toMatch(/^".+"$/);
    const pageToken = first.nextPageToken ?? "";
    const second = await source.list({ prefix: "many/", pageSize: 2, pageToken });
    expect(second.objects[0]?.key).toBe("many/0002");
  });

  test("with a delimiter gives the folder's files and folders, without folder markers", async () => {
    const page = await source.list({ prefix: "folder/", delimiter: "/" });
    expect(page.objects.map(({ key }) => key)).toEqual(["folder/file"]);
    expect(page.prefixes).toEqual(["folder/sub/"]);
    expect(page.nextPageToken).toBeUndefined();
    const root = await source.list({ delimiter: "/" });
    expect(root.prefixes).toEqual(["folder/", "many/", "odd/"]);
  });

  test("stops asking for pages when the reader stops", async () => {
    const before = (await customer.aws.requestCounts()).ListObjectsV2 ?? 0;
    for await (const { key } of source.listAll({ pageSize: 10 })) {
      expect(key).not.toBe("");
      break;
    }
    expect((await customer.aws.requestCounts()).ListObjectsV2).toBe(before + 1);
  });

  test("of a prefix that nothing has is empty", async () => {
    expect(await source.list({ prefix: "nothing/" })).toEqual({ objects: [], prefixes: [] });
  });

  test("names a key's facts, and says when there is none", async () => {
    const head = await source.head("odd/a+b");
    expect(head).toMatchObject({ key: "odd/a+b", size: 1, storageClass: "STANDARD" });
    await expect(source.head("odd/none")).rejects.toThrow("[list/file_not_found]");
  });
});
