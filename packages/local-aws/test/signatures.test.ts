import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalAws, type LocalAws } from "../src/index.ts";
import {
  canonicalRequest,
  chunkSignature,
  EMPTY_SHA256,
  requestSignature,
  type SigningContext,
  signingKey,
  trailerSignature,
} from "../src/sigv4.ts";
import { assume, EXTERNAL_ID, setUpRole } from "./role-setup.ts";
import { type RawInput, sendSigned } from "./signed-request.ts";

describe("SigV4", () => {
  const timestamp = "20130524T000000Z";
  const scope = { date: "20130524", region: "us-east-1", service: "s3" };
  const key = signingKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope);
  const sign = (input: Omit<Parameters<typeof canonicalRequest>[0], "encodesPathTwice">) =>
    requestSignature(key, timestamp, scope, canonicalRequest({ ...input, encodesPathTwice: false }))
      .signature;

  it("gives the signature of Amazon's example of a ranged GET", () => {
    const signature = sign({
      method: "GET",
      path: "/test.txt",
      query: [],
      headers: [
        ["host", "examplebucket.s3.amazonaws.com"],
        ["range", "bytes=0-9"],
        ["x-amz-content-sha256", EMPTY_SHA256],
        ["x-amz-date", timestamp],
      ],
      payloadHash: EMPTY_SHA256,
    });
    expect(signature).toBe("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  });

  it("gives the signature of Amazon's example of a presigned URL", () => {
    const signature = sign({
      method: "GET",
      path: "/test.txt",
      query: [
        ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
        ["X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"],
        ["X-Amz-Date", timestamp],
        ["X-Amz-Expires", "86400"],
        ["X-Amz-SignedHeaders", "host"],
      ],
      headers: [["host", "examplebucket.s3.amazonaws.com"]],
      payloadHash: "UNSIGNED-PAYLOAD",
    });
    expect(signature).toBe("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  });

  it("gives the chain of signatures of Amazon's example of an upload in chunks", () => {
    const seedSignature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const context: SigningContext = { key, timestamp, scope, seedSignature };
    const hash = (bytes: number) => createHash("sha256").update("a".repeat(bytes)).digest("hex");
    const first = chunkSignature(context, seedSignature, hash(65_536));
    const second = chunkSignature(context, first, hash(1_024));
    expect([first, second, chunkSignature(context, second, EMPTY_SHA256)]).toEqual([
      "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]);
  });
});

let dataDir: string;
let local: LocalAws;
let clockOffsetMs = 0;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "local-aws-"));
  local = await createLocalAws({ dataDir, now: () => Date.now() + clockOffsetMs });
  await local.createBucket("signed");
  await local.createBucket("far-away", { region: "eu-central-1" });
  await put("a.txt", { body: Buffer.from("hello") });
});

afterAll(async () => {
  await local.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const put = (key: string, input: Omit<RawInput, "path">) =>
  sendSigned(local, local.adminKeys, { method: "PUT", path: `/signed/${key}`, ...input });
const get = (key: string, input: Omit<RawInput, "path"> = {}) =>
  sendSigned(local, local.adminKeys, { path: `/signed/${key}`, ...input });

describe("a signed request", () => {
  it("is refused when a header of Amazon's was added behind the signature", async () => {
    const answer = await get("a.txt", { unsignedHeaders: { "x-amz-meta-evil": "1" } });
    expect([answer.status, answer.code]).toEqual([403, "AccessDenied"]);
  });

  it.each([-20, 20])("is refused when its clock is %d minutes off", async (minutes) => {
    const answer = await get("a.txt", { timeMs: Date.now() + minutes * 60_000 });
    expect([answer.status, answer.code]).toEqual([403, "RequestTimeTooSkewed"]);
  });

  it("is refused when the body is not the one that was signed", async () => {
    const payloadHash = createHash("sha256").update("other").digest("hex");
    const answer = await put("b.txt", { body: Buffer.from("these"), payloadHash });
    expect([answer.status, answer.code]).toEqual([400, "XAmzContentSHA256Mismatch"]);
    expect((await get("b.txt")).code).toBe("NoSuchKey");
  });

  it("is told the bucket's region when it was signed for another", async () => {
    const wrong = await get("a.txt", { region: "ap-south-1" });
    expect([wrong.status, wrong.code]).toEqual([400, "AuthorizationHeaderMalformed"]);
    expect(wrong.body.toString()).toContain("<Region>us-east-1</Region>");
    const moved = await sendSigned(local, local.adminKeys, { path: "/far-away" });
    expect([moved.status, moved.code]).toEqual([301, "PermanentRedirect"]);
    expect(moved.headers["x-amz-bucket-region"]).toBe("eu-central-1");
    const home = { path: "/far-away", region: "eu-central-1" };
    expect((await sendSigned(local, local.adminKeys, home)).status).toBe(200);
  });

  it("is refused without a signature, and when it cannot be read", async () => {
    const anonymous = await fetch(`${local.url}/signed/a.txt`);
    expect(anonymous.status).toBe(403);
    expect(await anonymous.text()).toContain("<Code>AccessDenied</Code>");
    const broken = await fetch(`${local.url}/signed/a.txt`, {
      headers: { authorization: "AWS4-HMAC-SHA256 nonsense" },
    });
    expect(broken.status).toBe(400);
    expect((await fetch(`${local.url}/signed/%ff`)).status).toBe(400);
  });

  it("finds its bucket by host name", async () => {
    const host = `signed.localhost:${new URL(local.url).port}`;
    const answer = await sendSigned(local, local.adminKeys, { path: "/a.txt", host });
    expect(answer.body.toString()).toBe("hello");
  });
});

describe("a presigned URL", () => {
  it("reads and writes while it is fresh", async () => {
    expect((await get("a.txt", { presignSeconds: 60 })).body.toString()).toBe("hello");
    const written = await put("by-url", { presignSeconds: 60, body: Buffer.from("x") });
    expect(written.status).toBe(200);
    expect((await get("by-url")).body.toString()).toBe("x");
  });

  it("is refused when it has expired, when it is changed, and when it is too long", async () => {
    const late = await get("a.txt", { presignSeconds: 60, timeMs: Date.now() - 61_000 });
    expect([late.status, late.code]).toEqual([403, "AccessDenied"]);
    expect(late.body.toString()).toContain("Request has expired");
    const long = await get("a.txt", { presignSeconds: 604_801 });
    expect([long.status, long.code]).toEqual([400, "AuthorizationQueryParametersError"]);
    const wrong = { ...local.adminKeys, secretAccessKey: "wrong" };
    const changed = await sendSigned(local, wrong, { path: "/signed/a.txt", presignSeconds: 60 });
    expect([changed.status, changed.code]).toEqual([403, "SignatureDoesNotMatch"]);
  });

  it("may be older than the clock may be off", async () => {
    const timeMs = Date.now() - 3_600_000;
    expect((await get("a.txt", { presignSeconds: 7_200, timeMs })).status).toBe(200);
  });
});

describe("a session", () => {
  it("works by URL too, and ends at its time", async () => {
    const { user, roleArn } = await setUpRole(local, "signed");
    const keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
    const byUrl = { path: "/signed/a.txt", presignSeconds: 60 };
    expect((await sendSigned(local, keys, byUrl)).body.toString()).toBe("hello");
    clockOffsetMs = 3_601_000;
    try {
      const timeMs = Date.now() + clockOffsetMs;
      const late = await sendSigned(local, keys, { path: "/signed/a.txt", timeMs });
      expect([late.status, late.code]).toEqual([400, "ExpiredToken"]);
    } finally {
      clockOffsetMs = 0;
    }
  });
});

/** Frames data as aws-chunked; signed where a context is given. */
function frame(chunks: readonly Buffer[], trailer: string, signing?: SigningContext): Buffer {
  const framed: Buffer[] = [];
  let previous = signing?.seedSignature ?? "";
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    let head = chunk.length.toString(16);
    if (signing !== undefined) {
      const hash = createHash("sha256").update(chunk).digest("hex");
      previous = chunkSignature(signing, previous, hash);
      head += `;chunk-signature=${previous}`;
    }
    framed.push(Buffer.from(`${head}\r\n`), chunk);
    if (chunk.length > 0) framed.push(Buffer.from("\r\n"));
  }
  if (trailer !== "") {
    framed.push(Buffer.from(`${trailer}\r\n`));
    if (signing !== undefined) {
      const signature = trailerSignature(signing, previous, `${trailer}\n`);
      framed.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
    }
  }
  framed.push(Buffer.from("\r\n"));
  return Buffer.concat(framed);
}

describe("an aws-chunked upload", () => {
  const data = Buffer.from("chunk one, and then some more data in a second chunk\r\n0\r\n");
  const chunks = [data.subarray(0, 9), data.subarray(9)];
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(data));
  const trailer = `x-amz-checksum-crc32:${sum.toString("base64")}`;
  const headers = {
    "x-amz-decoded-content-length": String(data.length),
    "content-encoding": "aws-chunked",
  };
  const withTrailer = { ...headers, "x-amz-trailer": "x-amz-checksum-crc32" };

  it.each([
    ["signed", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", headers, "", true],
    [
      "signed, with a trailer",
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      withTrailer,
      trailer,
      true,
    ],
    ["unsigned, with a trailer", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", withTrailer, trailer, false],
  ])("is stored without its framing: %s", async (name, payloadHash, sent, trail, isSigned) => {
    const body = (signing: SigningContext) => frame(chunks, trail, isSigned ? signing : undefined);
    const answer = await put(name, { payloadHash, headers: sent, body });
    expect([answer.status, answer.code]).toEqual([200, undefined]);
    const stored = await get(name);
    expect(stored.body.equals(data)).toBe(true);
    expect(stored.headers["content-encoding"]).toBeUndefined();
  });

  it.each([
    ["a chunk", "chunk one", "chunk two"],
    ["the trailer", "crc32:", "crc32:A"],
    ["the trailer's signature", "trailer-signature:", "trailer-signature:0"],
  ])("is refused when %s was changed", async (_, from, to) => {
    const answer = await put("tampered", {
      payloadHash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      headers: withTrailer,
      body: (signing) =>
        Buffer.from(frame(chunks, trailer, signing).toString("latin1").replace(from, to), "latin1"),
    });
    expect([answer.status, answer.code]).toEqual([403, "SignatureDoesNotMatch"]);
    expect((await get("tampered")).code).toBe("NoSuchKey");
  });

  it("is refused when the trailing checksum is not that of the data, or the length is not", async () => {
    const payloadHash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    const bad = await put("bad", {
      payloadHash,
      headers: withTrailer,
      body: () => frame(chunks, "x-amz-checksum-crc32:AAAAAA=="),
    });
    expect([bad.status, bad.code]).toEqual([400, "BadDigest"]);
    const long = await put("bad", {
      payloadHash,
      headers: { ...withTrailer, "x-amz-decoded-content-length": "9999" },
      body: () => frame(chunks, trailer),
    });
    expect([long.status, long.code]).toEqual([400, "IncompleteBody"]);
    const cut = await put("bad", {
      payloadHash,
      headers: withTrailer,
      body: () => frame(chunks, trailer).subarray(0, 30),
    });
    expect([cut.status, cut.code]).toEqual([400, "IncompleteBody"]);
    expect((await get("bad")).code).toBe("NoSuchKey");
  });
});

describe("an access point", () => {
  it("stands for its bucket by alias, ARN and host name", async () => {
    const { alias, arn } = await local.createAccessPoint({ name: "door", bucket: "signed" });
    expect(alias).toMatch(/^door-[0-9a-z]+-s3alias$/);
    const port = new URL(local.url).port;
    const answers = await Promise.all([
      sendSigned(local, local.adminKeys, { path: `/${alias}/a.txt` }),
      sendSigned(local, local.adminKeys, { path: `/${arn}/a.txt` }),
      sendSigned(local, local.adminKeys, {
        path: "/a.txt",
        host: `door-${local.accountId}.localhost:${port}`,
      }),
    ]);
    expect(answers.map((answer) => answer.body.toString())).toEqual(["hello", "hello", "hello"]);
    const unknown = await sendSigned(local, local.adminKeys, { path: "/nobody-s3alias/a.txt" });
    expect([unknown.status, unknown.code]).toEqual([404, "NoSuchBucket"]);
  });

  it("of a VPC refuses those outside", async () => {
    const { alias } = await local.createAccessPoint({
      name: "inner",
      bucket: "signed",
      isVpcOnly: true,
    });
    const answer = await sendSigned(local, local.adminKeys, { path: `/${alias}/a.txt` });
    expect([answer.status, answer.code]).toEqual([403, "AccessDenied"]);
  });
});
