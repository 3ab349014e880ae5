import { createCipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { constants, deflateRawSync } from "node:zlib";
import { encryptSessionKey, enums, type PublicKey } from "openpgp";

/** Messages made by hand, so that each may be of any size, or wrong in one way. */

/** A packet with a length of five octets (RFC 9580, 4.2.1). */
export function packet(tag: number, ...body: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(body);
  const header = Buffer.from([0xc0 | tag, 0xff, 0, 0, 0, 0]);
  header.writeUInt32BE(bytes.byteLength, 2);
  return Buffer.concat([header, bytes]);
}

const LITERAL_HEAD = Buffer.from("b\x0a../../evil\0\0\0\0", "latin1");

/** Literal data (RFC 9580, 5.9) with a file name that must not be believed. */
export const literal = (content: Uint8Array): Buffer => packet(11, LITERAL_HEAD, content);

/** Compressed data (RFC 9580, 5.6) that holds `content`. */
export const zipped = (content: Uint8Array): Buffer =>
  packet(8, Uint8Array.of(1), deflateRawSync(content));

const PART_OCTET = 0xe0 | 20;
const PART_BYTES = 2 ** 20;

/** A packet with partial lengths of 1 MiB, made as it is read. */
export async function* partial(
  tag: number,
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(0xc0 | tag);
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    held.push(chunk);
    size += chunk.byteLength;
    if (size < PART_BYTES) continue;
    let joined: Uint8Array = Buffer.concat(held);
    for (; joined.byteLength >= PART_BYTES; joined = joined.subarray(PART_BYTES)) {
      yield Uint8Array.of(PART_OCTET);
      yield joined.subarray(0, PART_BYTES);
    }
    held = [joined];
    size = joined.byteLength;
  }
  const length = Buffer.from([0xff, 0, 0, 0, 0]);
  length.writeUInt32BE(size, 1);
  yield Buffer.concat([length, ...held]);
}

/** `count` times `piece` as literal data. */
export function literalOf(piece: Uint8Array, count: number): AsyncGenerator<Uint8Array> {
  return partial(
    11,
    (function* () {
      yield LITERAL_HEAD;
      for (let i = 0; i < count; i++) yield piece;
    })(),
  );
}

/** `count` times `piece` as literal data, packed: the piece is packed once, however often it comes. */
export function zippedOf(piece: Uint8Array, count: number): AsyncGenerator<Uint8Array> {
  const packed = (bytes: Uint8Array): Buffer =>
    deflateRawSync(bytes, { finishFlush: constants.Z_FULL_FLUSH });
  const part = packed(piece);
  // One literal packet of a length that is known: 1 MiB times less than 4,096.
  const length = Buffer.from([0xcb, 0xff, 0, 0, 0, 0]);
  length.writeUInt32BE(LITERAL_HEAD.byteLength + piece.byteLength * count, 2);
  return partial(
    8,
    (function* () {
      yield Uint8Array.of(1);
      yield packed(Buffer.concat([length, LITERAL_HEAD]));
      for (let i = 0; i < count; i++) yield part;
      yield Uint8Array.of(3, 0);
    })(),
  );
}

/** What a message is encrypted with, and the packet that hands it to the reader. */
export interface SessionKeySealed {
  readonly sessionKey: Buffer;
  readonly packet: Uint8Array;
}

/** A session key of AES-256 for a passphrase or a key; `forAead`: for data of version 2. */
export async function sessionKeyFor(
  to: { readonly password: string } | { readonly key: PublicKey },
  forAead = false,
): Promise<SessionKeySealed> {
  const sessionKey = randomBytes(32);
  const packet = await encryptSessionKey({
    data: new Uint8Array(sessionKey),
    algorithm: "aes256",
    ...(forAead ? { aeadAlgorithm: "gcm" as const } : {}),
    ...("key" in to ? { encryptionKeys: to.key } : { passwords: to.password }),
    format: "binary",
    config: { s2kIterationCountByte: 0, aeadProtect: forAead },
  });
  return { sessionKey, packet };
}

/** Encrypted data of version 1: with a hash at its end (RFC 9580, 5.13.1). */
export function sealHashed(
  sessionKey: Uint8Array,
  packets: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  async function* body(): AsyncGenerator<Uint8Array> {
    const cipher = createCipheriv("aes-256-cfb", sessionKey, new Uint8Array(16));
    const hash = createHash("sha1");
    const sealed = (bytes: Uint8Array): Buffer => {
      hash.update(bytes);
      return cipher.update(bytes);
    };
    const random = randomBytes(16);
    yield Uint8Array.of(1);
    yield sealed(Buffer.concat([random, random.subarray(14)]));
    for await (const chunk of packets) yield sealed(chunk);
    yield sealed(Uint8Array.of(0xd3, 0x14));
    yield cipher.update(hash.digest());
  }
  return partial(18, body());
}

export interface Pieces {
  readonly mode: "ocb" | "gcm";
  /** Pieces have 2^(chunkOctet + 6) bytes. */
  readonly chunkOctet: number;
  /** GnuPG's packet 20 and not version 2 of packet 18. */
  readonly isLegacy?: boolean;
  /** Leaves the tag at the end out. */
  readonly isCut?: boolean;
}

/** Encrypted data of version 2 (RFC 9580, 5.13.2), or GnuPG's packet 20. */
export function sealPieces(
  sessionKey: Uint8Array,
  packets: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { mode, chunkOctet, isLegacy = false, isCut = false }: Pieces,
): AsyncGenerator<Uint8Array> {
  const tag = isLegacy ? 20 : 18;
  const modeId = mode === "ocb" ? 2 : 3;
  const nonceBytes = mode === "ocb" ? 15 : 12;
  const head = Uint8Array.of(isLegacy ? 1 : 2, enums.symmetric.aes256, modeId, chunkOctet);
  const associated = Buffer.concat([Uint8Array.of(0xc0 | tag), head]);
  const octets = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  };
  async function* body(): AsyncGenerator<Uint8Array> {
    const start = randomBytes(isLegacy ? nonceBytes : 32);
    const derived = isLegacy
      ? Buffer.concat([sessionKey, start])
      : Buffer.from(hkdfSync("sha256", sessionKey, start, associated, 32 + nonceBytes - 8));
    const nonce = (index: number): Buffer => {
      if (!isLegacy) return Buffer.concat([derived.subarray(32), octets(index)]);
      const bytes = Buffer.from(start);
      bytes.writeUInt32BE((bytes.readUInt32BE(nonceBytes - 4) ^ index) >>> 0, nonceBytes - 4);
      return bytes;
    };
    const sealed = (bytes: Uint8Array, index: number, total?: number): Buffer => {
      const name = `aes-256-${mode}` as "aes-256-gcm";
      const cipher = createCipheriv(name, derived.subarray(0, 32), nonce(index), {
        authTagLength: 16,
      });
      const place = [
        ...(isLegacy ? [octets(index)] : []),
        ...(total === undefined ? [] : [octets(total)]),
      ];
      cipher.setAAD(Buffer.concat([associated, ...place]));
      return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    };
    yield head;
    yield start;
    const size = 2 ** (chunkOctet + 6);
    let held: Uint8Array = new Uint8Array(0);
    let index = 0;
    let total = 0;
    for await (const chunk of packets) {
      held = held.byteLength === 0 ? chunk : Buffer.concat([held, chunk]);
      for (; held.byteLength >= size; held = held.subarray(size)) {
        yield sealed(held.subarray(0, size), index++);
        total += size;
      }
    }
    if (held.byteLength > 0) yield sealed(held, index++);
    if (!isCut) yield sealed(new Uint8Array(0), index, total + held.byteLength);
  }
  return partial(tag, body());
}

/** All of the parts as one. */
export async function* joined(
  ...parts: readonly (Uint8Array | AsyncIterable<Uint8Array>)[]
): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part;
    else yield* part;
  }
}
