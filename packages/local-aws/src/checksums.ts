import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { crc32c, crc64nvme, joinCrc } from "./crc.ts";
import { S3Error } from "./s3-error.ts";

export const CHECKSUM_ALGORITHMS = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
export type ChecksumType = "FULL_OBJECT" | "COMPOSITE";

/** A stored checksum: base64 of the big-endian digest, with `-N` behind it when composed of N parts. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: string;
  readonly type: ChecksumType;
}

export interface RunningChecksum {
  update(chunk: Uint8Array): void;
  digest(): Buffer;
}

/** Starts a checksum over a stream of bytes. */
export function startChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  if (algorithm === "sha1" || algorithm === "sha256") {
    const hash = createHash(algorithm);
    return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() };
  }
  if (algorithm === "crc64nvme") {
    let value = 0n;
    return {
      update: (chunk) => {
        value = crc64nvme(chunk, value);
      },
      digest: () => fromInteger(value, 8),
    };
  }
  const next = algorithm === "crc32" ? crc32 : crc32c;
  let value = 0;
  return {
    update: (chunk) => {
      value = next(chunk, value);
    },
    digest: () => fromInteger(BigInt(value), 4),
  };
}

/** The checksum of a multipart object from those of its parts ("Checking object integrity", multipart uploads). */
export function joinChecksums(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly { readonly value: string; readonly size: number }[],
): Checksum {
  if (type === "COMPOSITE") {
    const sum = startChecksum(algorithm);
    for (const part of parts) sum.update(Buffer.from(part.value, "base64"));
    return { algorithm, type, value: `${sum.digest().toString("base64")}-${parts.length}` };
  }
  if (algorithm === "sha1" || algorithm === "sha256") {
    throw new S3Error(
      "InvalidRequest",
      `The FULL_OBJECT checksum type cannot be used with ${algorithm}.`,
    );
  }
  const width = algorithm === "crc64nvme" ? 8 : 4;
  let joined = 0n;
  for (const part of parts) {
    const value = BigInt(`0x${Buffer.from(part.value, "base64").toString("hex") || "0"}`);
    joined = joinCrc(algorithm, joined, value, part.size);
  }
  return { algorithm, type, value: fromInteger(joined, width).toString("base64") };
}

/** `x-amz-checksum-crc32` and so on. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm}`;
}

/** The name in XML: `ChecksumCRC32`, `ChecksumSHA256` ... */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm.toUpperCase()}`;
}

/** Reads `CRC32`, `sha256` and the like; undefined when the algorithm is not known. */
export function parseChecksumAlgorithm(name: string | undefined): ChecksumAlgorithm | undefined {
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name?.toLowerCase());
}

function fromInteger(value: bigint, bytes: number): Buffer {
  return Buffer.from(value.toString(16).padStart(bytes * 2, "0"), "hex");
}
