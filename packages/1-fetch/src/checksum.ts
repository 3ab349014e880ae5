import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** The checksum of a whole object as its answer's headers gave it. */
export interface ObjectChecksum {
  readonly algorithm: "crc32" | "sha1" | "sha256";
  /** Base64, as in the header. */
  readonly value: string;
}

/** What of a GetObject or HeadObject answer speaks of checksums. */
export interface ChecksumFields {
  readonly ChecksumType?: string | undefined;
  readonly ChecksumCRC32?: string | undefined;
  readonly ChecksumSHA1?: string | undefined;
  readonly ChecksumSHA256?: string | undefined;
}

/**
 * The object's own checksum, if it is one over all its bytes that can be computed natively here:
 * CRC-32 first, as the cheapest. A composite one (`...-N`) is a checksum of checksums of parts.
 */
export function toObjectChecksum(fields: ChecksumFields): ObjectChecksum | undefined {
  if (fields.ChecksumType === "COMPOSITE") return undefined;
  const found: readonly (readonly [ObjectChecksum["algorithm"], string | undefined])[] = [
    ["crc32", fields.ChecksumCRC32],
    ["sha256", fields.ChecksumSHA256],
    ["sha1", fields.ChecksumSHA1],
  ];
  for (const [algorithm, value] of found) {
    if (value !== undefined && !/-\d+$/.test(value)) return { algorithm, value };
  }
  return undefined;
}

/** A checksum that grows with the bytes. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** Base64. */
  digest(): string;
}

export function startChecksum(algorithm: ObjectChecksum["algorithm"]): RunningChecksum {
  if (algorithm === "crc32") {
    let value = 0;
    return {
      update: (bytes) => {
        value = crc32(bytes, value);
      },
      digest: () => {
        const bytes = Buffer.allocUnsafe(4);
        bytes.writeUInt32BE(value);
        return bytes.toString("base64");
      },
    };
  }
  const hash = createHash(algorithm);
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest("base64"),
  };
}
