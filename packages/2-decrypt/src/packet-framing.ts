import type { ByteReader } from "@sluice/streams";
import { truncated } from "./failures.ts";

/** Packet types that stand around encrypted data (RFC 9580, 5). */
export const TAG = {
  publicKeySessionKey: 1,
  signature: 2,
  passphraseSessionKey: 3,
  onePassSignature: 4,
  secretKey: 5,
  publicKey: 6,
  secretSubkey: 7,
  compressed: 8,
  encrypted: 9,
  marker: 10,
  literal: 11,
  publicSubkey: 14,
  encryptedWithIntegrity: 18,
  encryptedWithAead: 20,
  padding: 21,
} as const;

/** The length of a packet, or of its first part. */
export interface PacketLength {
  /** Infinity: until the end of the file. */
  readonly bytes: number;
  /** More parts follow, each with a length of its own. */
  readonly partial: boolean;
  /** The length as it is written. */
  readonly raw: Uint8Array;
}

export interface PacketHeader {
  readonly tag: number;
  readonly length: PacketLength;
  /** Header and length as they are written. */
  readonly raw: Uint8Array;
}

async function exactly(reader: ByteReader, length: number): Promise<Uint8Array> {
  const bytes = await reader.take(length);
  if (bytes.byteLength < length) throw truncated(reader.offset);
  return bytes;
}

const bigEndian = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

/** Reads a new-format length (RFC 9580, 4.2.1). */
export async function readLength(reader: ByteReader): Promise<PacketLength> {
  const first = await exactly(reader, 1);
  const [octet = 0] = first;
  if (octet < 192) return { bytes: octet, partial: false, raw: first };
  if (octet < 224) {
    const second = await exactly(reader, 1);
    const bytes = (octet - 192) * 256 + (second[0] ?? 0) + 192;
    return { bytes, partial: false, raw: Buffer.concat([first, second]) };
  }
  if (octet < 255) return { bytes: 2 ** (octet & 0x1f), partial: true, raw: first };
  const four = await exactly(reader, 4);
  return { bytes: bigEndian(four), partial: false, raw: Buffer.concat([first, four]) };
}

/** Reads a legacy length (RFC 9580, 4.2.2). */
async function readLegacyLength(reader: ByteReader, type: number): Promise<PacketLength> {
  if (type === 3)
    return { bytes: Number.POSITIVE_INFINITY, partial: false, raw: new Uint8Array(0) };
  const raw = await exactly(reader, 2 ** type);
  return { bytes: bigEndian(raw), partial: false, raw };
}

/** Reads a packet's header (RFC 9580, 4.2); undefined at the end of the file or where no packet begins. */
export async function readPacketHeader(reader: ByteReader): Promise<PacketHeader | undefined> {
  const first = await reader.take(1);
  const [octet = 0] = first;
  if ((octet & 0x80) === 0) {
    reader.putBack(first);
    return undefined;
  }
  const isLegacy = (octet & 0x40) === 0;
  const length = isLegacy ? await readLegacyLength(reader, octet & 3) : await readLength(reader);
  return {
    tag: isLegacy ? (octet & 0x3c) >> 2 : octet & 0x3f,
    length,
    raw: Buffer.concat([first, length.raw]),
  };
}
