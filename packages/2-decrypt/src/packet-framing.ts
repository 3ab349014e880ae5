import type { ByteReader } from "@sluice/streams";

/** Packet types that stand around encrypted data, or inside it (RFC 9580, 5). */
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
  /** Infinity: until the end of what is around the packet. */
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

/** Makes the error to throw where the bytes end inside a packet; `offset` is the reader's. */
export type Cut = (offset: number) => Error;

/** `length` bytes; throws `cut` where there are fewer. */
export async function exactly(reader: ByteReader, length: number, cut: Cut): Promise<Uint8Array> {
  const bytes = await reader.take(length);
  if (bytes.byteLength < length) throw cut(reader.offset);
  return bytes;
}

const bigEndian = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

/** Reads a new-format length (RFC 9580, 4.2.1). */
async function readLength(reader: ByteReader, cut: Cut): Promise<PacketLength> {
  const first = await exactly(reader, 1, cut);
  const [octet = 0] = first;
  if (octet < 192) return { bytes: octet, partial: false, raw: first };
  if (octet < 224) {
    const second = await exactly(reader, 1, cut);
    const bytes = (octet - 192) * 256 + (second[0] ?? 0) + 192;
    return { bytes, partial: false, raw: Buffer.concat([first, second]) };
  }
  if (octet < 255) return { bytes: 2 ** (octet & 0x1f), partial: true, raw: first };
  const four = await exactly(reader, 4, cut);
  return { bytes: bigEndian(four), partial: false, raw: Buffer.concat([first, four]) };
}

/** Reads a legacy length (RFC 9580, 4.2.2). */
async function readLegacyLength(reader: ByteReader, type: number, cut: Cut): Promise<PacketLength> {
  if (type === 3)
    return { bytes: Number.POSITIVE_INFINITY, partial: false, raw: new Uint8Array(0) };
  const raw = await exactly(reader, 2 ** type, cut);
  return { bytes: bigEndian(raw), partial: false, raw };
}

/** Reads a packet's header (RFC 9580, 4.2); undefined at the end of the bytes or where no packet begins. */
export async function readPacketHeader(
  reader: ByteReader,
  cut: Cut,
): Promise<PacketHeader | undefined> {
  const first = await reader.take(1);
  const [octet = 0] = first;
  if ((octet & 0x80) === 0) {
    reader.putBack(first);
    return undefined;
  }
  const isLegacy = (octet & 0x40) === 0;
  const length = isLegacy
    ? await readLegacyLength(reader, octet & 3, cut)
    : await readLength(reader, cut);
  return {
    tag: isLegacy ? (octet & 0x3c) >> 2 : octet & 0x3f,
    length,
    raw: Buffer.concat([first, length.raw]),
  };
}

/** Parts smaller than this are joined: gpg writes 8 KiB parts from a pipe, and each would pass every layer by itself. */
const JOINED_BYTES = 2 ** 16;

/**
 * The body of the packet whose header was just read, without its partial lengths, as it comes. A body
 * without a length goes on to the end of `reader`.
 */
export async function* packetBody(
  reader: ByteReader,
  header: PacketHeader,
  cut: Cut,
): AsyncGenerator<Uint8Array> {
  let length = header.length;
  let left = length.bytes;
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  for (;;) {
    while (left > 0) {
      const chunk = await reader.chunk();
      if (chunk === undefined && left === Number.POSITIVE_INFINITY) return;
      if (chunk === undefined) throw cut(reader.offset);
      const part = chunk.subarray(0, left);
      if (part.byteLength < chunk.byteLength) reader.putBack(chunk.subarray(part.byteLength));
      left -= part.byteLength;
      if (!length.partial && smallBytes === 0) {
        yield part;
        continue;
      }
      small.push(part);
      smallBytes += part.byteLength;
      if (smallBytes < JOINED_BYTES) continue;
      yield small.length === 1 ? part : Buffer.concat(small);
      small = [];
      smallBytes = 0;
    }
    if (!length.partial) break;
    length = await readLength(reader, cut);
    left = length.bytes;
  }
  if (smallBytes > 0) yield Buffer.concat(small);
}
