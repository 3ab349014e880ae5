import {
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LocalAws } from "../src/index.ts";
import { startTemporaryServer, type TemporaryServer } from "./temporary-server.ts";

let server: TemporaryServer;
let local: LocalAws;
let s3: S3Client;

beforeAll(async () => {
  server = await startTemporaryServer("sdk");
  ({ local, s3 } = server);
});

afterAll(async () => await server[Symbol.asyncDispose]());

describe("a listing", { timeout: 60_000 }, () => {
  it("pages through 1,001 keys, 1,000 a page", async () => {
    await local.createBucket("many");
    for (let n = 0; n < 1_001; n++) {
      await s3.send(new PutObjectCommand({ Bucket: "many", Key: `k${n}`, Body: "x" }));
    }
    const pages: number[] = [];
    const keys = new Set<string>();
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: "many" })) {
      pages.push(page.KeyCount ?? 0);
      for (const object of page.Contents ?? []) keys.add(object.Key ?? "");
    }
    expect(pages).toEqual([1_000, 1]);
    expect(keys.size).toBe(1_001);
  });

  it("folds keys behind the delimiter, page by page, each prefix once", async () => {
    await local.createBucket("folders");
    const keys = ["a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "d", "日/6", "日/7", "😀/8"];
    for (const Key of keys) {
      await s3.send(new PutObjectCommand({ Bucket: "folders", Key, Body: "x" }));
    }
    const seen: string[] = [];
    const input = { Bucket: "folders", Delimiter: "/", MaxKeys: 2 };
    for await (const page of paginateListObjectsV2({ client: s3 }, input)) {
      expect(page.KeyCount).toBeLessThanOrEqual(2);
      seen.push(...(page.Contents ?? []).map((object) => object.Key ?? ""));
      seen.push(...(page.CommonPrefixes ?? []).map((prefix) => prefix.Prefix ?? ""));
    }
    expect(seen.sort()).toEqual(["a/", "b", "c/", "d", "日/", "😀/"].sort());
    const below = await s3.send(
      new ListObjectsV2Command({
        Bucket: "folders",
        Prefix: "a/",
        Delimiter: "/",
        StartAfter: "a/1",
      }),
    );
    expect(below.Contents?.map((object) => object.Key)).toEqual(["a/2"]);
    expect(below.CommonPrefixes).toEqual([{ Prefix: "a/b/" }]);
    const none = await s3.send(new ListObjectsV2Command({ Bucket: "folders", MaxKeys: 0 }));
    expect([none.KeyCount, none.IsTruncated]).toEqual([0, false]);
    const old = await s3.send(
      new ListObjectsCommand({ Bucket: "folders", Delimiter: "/", MaxKeys: 1 }),
    );
    expect(old.NextMarker).toBe("a/");
    const next = await s3.send(
      new ListObjectsCommand({ Bucket: "folders", Delimiter: "/", Marker: old.NextMarker }),
    );
    expect(next.Contents?.map((object) => object.Key)).toEqual(["b", "d"]);
  });
});
