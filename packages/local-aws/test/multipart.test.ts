import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startChecksum } from "../src/checksums.ts";
import { refusalOf } from "./role-setup.ts";
import { startTemporaryServer, type TemporaryServer } from "./temporary-server.ts";

let server: TemporaryServer;
let s3: S3Client;

beforeAll(async () => {
  server = await startTemporaryServer("sdk");
  ({ s3 } = server);
});

afterAll(async () => await server[Symbol.asyncDispose]());

describe("a multipart upload", { timeout: 60_000 }, () => {
  const part = (byte: number, size: number) => Buffer.alloc(size, byte);
  const mebibyte = 1024 ** 2;

  it.each([
    ["CRC32", "COMPOSITE"],
    ["CRC32", "FULL_OBJECT"],
    ["CRC64NVME", "FULL_OBJECT"],
    ["SHA256", "COMPOSITE"],
  ] as const)("joins its parts, with a %s checksum of type %s", async (algorithm, type) => {
    const object = { Bucket: "sdk", Key: `multipart-${algorithm}-${type}` };
    const bodies = [part(1, 5 * mebibyte), part(2, 5 * mebibyte), part(3, 1_234)];
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({
        ...object,
        ChecksumAlgorithm: algorithm,
        ChecksumType: type,
        ContentType: "text/csv",
      }),
    );
    const sums: Buffer[] = [];
    const Parts: CompletedPart[] = [];
    for (const [index, Body] of bodies.entries()) {
      const PartNumber = index + 1;
      const sent = await s3.send(
        new UploadPartCommand({
          ...object,
          UploadId,
          PartNumber,
          Body,
          ChecksumAlgorithm: algorithm,
        }),
      );
      const sum = sent[`Checksum${algorithm}`] ?? "";
      sums.push(Buffer.from(sum, "base64"));
      Parts.push({ PartNumber, ETag: sent.ETag, [`Checksum${algorithm}`]: sum });
    }
    const listed = await s3.send(new ListPartsCommand({ ...object, UploadId }));
    expect(listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, 5 * mebibyte],
      [2, 5 * mebibyte],
      [3, 1_234],
    ]);
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }),
    );
    const md5s = bodies.map((body) => createHash("md5").update(body).digest());
    const md5 = createHash("md5").update(Buffer.concat(md5s)).digest("hex");
    expect(done.ETag).toBe(`"${md5}-3"`);
    const whole = Buffer.concat(bodies);
    const composite = startChecksum(algorithm === "SHA256" ? "sha256" : "crc32");
    composite.update(Buffer.concat(sums));
    const full = startChecksum(algorithm === "CRC64NVME" ? "crc64nvme" : "crc32");
    full.update(whole);
    expect(done[`Checksum${algorithm}`]).toBe(
      type === "COMPOSITE"
        ? `${composite.digest().toString("base64")}-3`
        : full.digest().toString("base64"),
    );
    const got = await s3.send(new GetObjectCommand(object));
    expect(whole.equals((await got.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
    const Range = `bytes=${5 * mebibyte - 2}-${5 * mebibyte + 1}`;
    const seam = await s3.send(new GetObjectCommand({ ...object, Range }));
    expect(await seam.Body?.transformToByteArray()).toEqual(new Uint8Array([1, 1, 2, 2]));
    const third = await s3.send(new GetObjectCommand({ ...object, PartNumber: 3 }));
    expect([third.ContentLength, third.PartsCount]).toEqual([1_234, 3]);
  });

  it("refuses parts that are too small, unknown or out of order, and forgets itself when aborted", async () => {
    const object = { Bucket: "sdk", Key: "refused-multipart" };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
    const etags: string[] = [];
    for (const PartNumber of [1, 2]) {
      const Body = part(PartNumber, 10);
      const sent = await s3.send(new UploadPartCommand({ ...object, UploadId, PartNumber, Body }));
      etags.push(sent.ETag ?? "");
    }
    const [one = "", two = ""] = etags;
    const complete = (...parts: [number, string][]) =>
      refusalOf(
        s3.send(
          new CompleteMultipartUploadCommand({
            ...object,
            UploadId,
            MultipartUpload: { Parts: parts.map(([PartNumber, ETag]) => ({ PartNumber, ETag })) },
          }),
        ),
      );
    expect(await complete([1, one], [2, two])).toBe("EntityTooSmall 400");
    expect(await complete([2, two], [1, one])).toBe("InvalidPartOrder 400");
    expect(await complete([1, two])).toBe("InvalidPart 400");
    await s3.send(new AbortMultipartUploadCommand({ ...object, UploadId }));
    expect(await complete([1, one])).toBe("NoSuchUpload 404");
  });
});
