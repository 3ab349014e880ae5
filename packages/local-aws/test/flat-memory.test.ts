import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalAwsProcess, startLocalAws } from "../src/index.ts";
import { numberedBytes } from "./numbered-bytes.ts";
import { peakMemoryBytes } from "./peak-memory.ts";
import { s3As } from "./role-setup.ts";

const SIZE = 256_000_000;
const ALLOWED_GROWTH_BYTES = 96_000_000;

let dataDir: string;
let local: LocalAwsProcess;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "local-aws-"));
  local = await startLocalAws({ dataDir });
  await local.createBucket("flat");
});

afterAll(async () => {
  await local.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function putAndGet(Key: string, size: number): Promise<boolean> {
  const s3 = s3As(local, local.adminKeys);
  let sent = 0;
  const Body = numberedBytes(size, (piece) => {
    sent = crc32(piece, sent);
  });
  await s3.send(new PutObjectCommand({ Bucket: "flat", Key, Body, ContentLength: size }));
  const got = await s3.send(new GetObjectCommand({ Bucket: "flat", Key }));
  let received = 0;
  for await (const chunk of got.Body as AsyncIterable<Buffer>) received = crc32(chunk, received);
  s3.destroy();
  return received === sent;
}

describe.skipIf(process.platform !== "linux")(
  "the server's memory (read from /proc, so on Linux alone)",
  () => {
    it("hardly grows by an object of 256 MB, put and got", { timeout: 60_000 }, async () => {
      expect(await putAndGet("small", 8_000_000)).toBe(true);
      const before = peakMemoryBytes(local.pid) ?? 0;
      expect(await putAndGet("large", SIZE)).toBe(true);
      const growth = (peakMemoryBytes(local.pid) ?? Number.NaN) - before;
      expect(growth).toBeLessThan(ALLOWED_GROWTH_BYTES);
    });
  },
);
