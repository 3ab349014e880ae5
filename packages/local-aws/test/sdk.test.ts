import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalAws, type LocalAws } from "../src/index.ts";

let dataDir: string;
let local: LocalAws;
let s3: S3Client;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "local-aws-"));
  local = await createLocalAws({ dataDir });
  await local.createBucket("sdk");
  s3 = new S3Client({
    endpoint: local.url,
    region: local.region,
    forcePathStyle: true,
    credentials: local.adminKeys,
  });
});

afterAll(async () => {
  s3.destroy();
  await local.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const KEYS = [
  "plain.csv",
  "per%20cent%.csv",
  "plus+and space.csv",
  "ünïcödé/日本語/😀.csv",
  "a//b///c",
  "folder/",
  "dots/../and/./more",
  "quote'\"<&>!*();:@=,$?#[].csv",
  "line\nbreak",
  `long/${"k".repeat(1_019)}`,
];

describe("the AWS SDK with its default settings", () => {
  it.each(KEYS)("stores and returns %j byte for byte", async (key) => {
    const body = Buffer.from(`the object of ${key}`);
    await s3.send(new PutObjectCommand({ Bucket: "sdk", Key: key, Body: body }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "sdk", Key: key }));
    expect(Buffer.from(await (got.Body?.transformToByteArray() ?? []))).toEqual(body);
    expect(got.ContentLength).toBe(body.length);
  });

  it("lists every kind of key once, in the order of its bytes", async () => {
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: "sdk", EncodingType: "url" }));
    const keys = listed.Contents?.map((object) =>
      decodeURIComponent(String(object.Key).replaceAll("+", " ")),
    );
    expect(keys).toEqual([...KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  });

  it("stores a stream sent as aws-chunked without its framing", async () => {
    const pieces = Array.from({ length: 50 }, (_, n) => Buffer.alloc(10_000 + n, n));
    const body = Buffer.concat(pieces);
    await s3.send(
      new PutObjectCommand({
        Bucket: "sdk",
        Key: "stream",
        Body: Readable.from(pieces),
        ContentLength: body.length,
        ContentEncoding: "gzip",
        Metadata: { who: "me" },
      }),
    );
    const head = await s3.send(
      new HeadObjectCommand({ Bucket: "sdk", Key: "stream", ChecksumMode: "ENABLED" }),
    );
    expect(head.ContentEncoding).toBe("gzip");
    expect(head.Metadata).toEqual({ who: "me" });
    expect(head.ChecksumCRC32).toBeTypeOf("string");
    expect(head.ChecksumType).toBe("FULL_OBJECT");
    const got = await s3.send(new GetObjectCommand({ Bucket: "sdk", Key: "stream" }));
    expect(body.equals(await (got.Body?.transformToByteArray() ?? Buffer.alloc(0)))).toBe(true);
  });
});
