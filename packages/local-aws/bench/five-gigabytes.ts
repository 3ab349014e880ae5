import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { startLocalAws } from "../src/index.ts";
import { numberedBytes } from "../test/numbered-bytes.ts";
import { peakMemoryBytes } from "../test/peak-memory.ts";

/**
 * Puts and gets an object of 5 GB through the AWS SDK, by one PUT and by parts, and prints the server's peak resident
 * size and the rates. Client and server share the machine, and the client checks every byte it gets.
 */

const SIZE = Number(process.argv[2] ?? 5_000_000_000);
const PART_BYTES = 64 * 1024 ** 2;
const BUCKET = "five-gigabytes";

const folder = mkdtempSync(join(tmpdir(), "five-gigabytes-"));
const local = await startLocalAws({ dataDir: folder });
const s3 = new S3Client({
  endpoint: local.url,
  region: local.region,
  forcePathStyle: true,
  credentials: local.adminKeys,
});

try {
  await local.createBucket(BUCKET);
  let sent = 0;
  await timed("put in one request", () =>
    s3.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: "whole",
        ContentLength: SIZE,
        Body: numberedBytes(SIZE, (piece) => {
          sent = crc32(piece, sent);
        }),
      }),
    ),
  );
  await getAndCheck("whole", sent);
  await timed("put in parts of 64 MiB", () => putInParts("parts"));
  await getAndCheck("parts", sent);
} finally {
  s3.destroy();
  await local.close();
  rmSync(folder, { recursive: true, force: true });
}

async function putInParts(Key: string): Promise<void> {
  const object = { Bucket: BUCKET, Key };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
  const Parts: CompletedPart[] = [];
  let pieces: Buffer[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    const PartNumber = Parts.length + 1;
    const Body = Buffer.concat(pieces);
    const { ETag } = await s3.send(
      new UploadPartCommand({ ...object, UploadId, PartNumber, Body }),
    );
    Parts.push({ PartNumber, ETag });
    pieces = [];
    size = 0;
  };
  for await (const piece of numberedBytes(SIZE)) {
    pieces.push(piece);
    size += piece.length;
    if (size >= PART_BYTES) await flush();
  }
  if (size > 0) await flush();
  await s3.send(
    new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }),
  );
}

async function getAndCheck(Key: string, expected: number): Promise<void> {
  let received = 0;
  let size = 0;
  await timed(`get ${Key}`, async () => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    for await (const chunk of Body as AsyncIterable<Buffer>) {
      received = crc32(chunk, received);
      size += chunk.length;
    }
  });
  if (size !== SIZE || received !== expected) throw new Error(`${Key} came back changed`);
}

async function timed(name: string, run: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await run();
  const seconds = (performance.now() - start) / 1_000;
  const peak = peakMemoryBytes(local.pid);
  const memory = peak === undefined ? "unknown" : `${Math.round(peak / 1e6)} MB`;
  const rate = Math.round(SIZE / 1e6 / seconds);
  process.stdout.write(
    `${name}: ${SIZE} bytes in ${seconds.toFixed(1)} s, ${rate} MB/s, server's peak RSS so far ${memory}\n`,
  );
}
