import type { ByteReader } from "@sluice/streams";
import { describeBytes, describePacket, UNKNOWN_BINARY } from "./describe-bytes.ts";
import {
  badFraming,
  limitExceeded,
  notEncrypted,
  truncated,
  unsupportedAlgorithm,
} from "./failures.ts";
import { type PacketHeader, readLength, readPacketHeader, TAG } from "./packet-framing.ts";

/** A packet that holds the session key, encrypted to one recipient or to a passphrase. */
export interface SessionKeyPacket {
  readonly kind: "public-key" | "passphrase";
  readonly body: Uint8Array;
  /** Header and body as they are written. */
  readonly raw: Uint8Array;
}

/** How the data is encrypted: with no check, with a hash at its end (SEIPD 1), or authenticated piece by piece. */
export type Protection = "none" | "seipd-1" | "aead";

/** All that stands before the encrypted data, and the data packet itself, not yet read. */
export interface Envelope {
  readonly sessionKeys: readonly SessionKeyPacket[];
  readonly protection: Protection;
  /** The first bytes of the data packet's body: versions and algorithms, or the encrypted prefix. */
  readonly bodyHead: Uint8Array;
  readonly tag: number;
  /** The data packet as it is written, to the end of the file; throws where the file ends before or after it. */
  readonly dataPacket: () => AsyncGenerator<Uint8Array>;
}

const BODY_HEAD_BYTES = 64;
/** RSA with 32,768 bits fills 4 KiB. */
const MAX_SESSION_KEY_BYTES = 8192;
const MAX_IGNORED_BYTES = 65_536;
/** RFC 9580, 5.13.2: 4 MiB to a piece; each piece is held until it is authenticated. */
const MAX_CHUNK_SIZE_OCTET = 16;

/** Reads a message's packets up to its encrypted data. */
export async function readEnvelope(
  reader: ByteReader,
  limits: { readonly maxRecipients: number },
): Promise<Envelope> {
  const sessionKeys: SessionKeyPacket[] = [];
  for (let first = true; ; first = false) {
    const header = await readPacketHeader(reader);
    if (header === undefined) throw await noPacket(reader, first);
    if (first) await assertBeginsMessage(reader, header);
    switch (header.tag) {
      case TAG.marker:
      case TAG.padding:
        await body(reader, header, MAX_IGNORED_BYTES);
        break;
      case TAG.publicKeySessionKey:
      case TAG.passphraseSessionKey:
        sessionKeys.push(await sessionKeyPacket(reader, header));
        if (sessionKeys.length > limits.maxRecipients) {
          throw limitExceeded(
            `The message has more recipients than maxRecipients = ${limits.maxRecipients}.`,
          );
        }
        break;
      case TAG.encrypted:
      case TAG.encryptedWithIntegrity:
      case TAG.encryptedWithAead:
        if (sessionKeys.length === 0) throw notEncrypted("encrypted data without any session key");
        return await dataEnvelope(reader, header, sessionKeys);
      default:
        throw badFraming(
          reader.offset,
          "A packet that does not belong there precedes the encrypted data.",
        );
    }
  }
}

/** The first byte of many a file looks like a packet's: the one after the length must fit as well. */
async function assertBeginsMessage(reader: ByteReader, header: PacketHeader): Promise<void> {
  const start = await reader.take(3);
  reader.putBack(start);
  const [version = 0] = start;
  const fits =
    (header.tag === TAG.publicKeySessionKey && [2, 3, 6].includes(version)) ||
    (header.tag === TAG.passphraseSessionKey && [4, 5, 6].includes(version)) ||
    (header.tag === TAG.marker && Buffer.from(start).toString("latin1") === "PGP") ||
    header.tag === TAG.padding;
  if (fits || start.byteLength === 0) return;
  throw notEncrypted(describePacket(header.tag) ?? UNKNOWN_BINARY);
}

async function noPacket(reader: ByteReader, first: boolean): Promise<Error> {
  const head = await reader.take(BODY_HEAD_BYTES);
  if (first) return notEncrypted(describeBytes(head));
  return head.byteLength === 0
    ? truncated(reader.offset)
    : badFraming(reader.offset, "The message's packets are damaged.");
}

async function body(
  reader: ByteReader,
  header: PacketHeader,
  maxBytes: number,
): Promise<Uint8Array> {
  if (header.length.partial || header.length.bytes > maxBytes) {
    throw badFraming(reader.offset, "A packet before the encrypted data is too large.");
  }
  const bytes = await reader.take(header.length.bytes);
  if (bytes.byteLength < header.length.bytes) throw truncated(reader.offset);
  return bytes;
}

async function sessionKeyPacket(
  reader: ByteReader,
  header: PacketHeader,
): Promise<SessionKeyPacket> {
  const bytes = await body(reader, header, MAX_SESSION_KEY_BYTES);
  return {
    kind: header.tag === TAG.publicKeySessionKey ? "public-key" : "passphrase",
    body: bytes,
    raw: Buffer.concat([header.raw, bytes]),
  };
}

async function dataEnvelope(
  reader: ByteReader,
  header: PacketHeader,
  sessionKeys: readonly SessionKeyPacket[],
): Promise<Envelope> {
  const bodyHead = await reader.take(Math.min(BODY_HEAD_BYTES, header.length.bytes));
  const isCut = bodyHead.byteLength < Math.min(BODY_HEAD_BYTES, header.length.bytes);
  if (isCut && header.tag !== TAG.encrypted) throw truncated(reader.offset);
  const [version, , , chunkSize = 0] = bodyHead;
  const isAead = header.tag === TAG.encryptedWithAead || version === 2;
  const isKnown =
    header.tag === TAG.encryptedWithAead ? version === 1 : version === 1 || version === 2;
  if (header.tag !== TAG.encrypted && !isKnown) {
    throw unsupportedAlgorithm(`Encrypted data of version ${version}`);
  }
  if (isAead && chunkSize > MAX_CHUNK_SIZE_OCTET) {
    throw limitExceeded("The message is authenticated in pieces of more than 4 MiB.");
  }

  async function* bodyRest(): AsyncGenerator<Uint8Array> {
    let length = header.length;
    let left = length.bytes - bodyHead.byteLength;
    for (;;) {
      while (left > 0) {
        const chunk = await reader.chunk();
        if (chunk === undefined && left === Number.POSITIVE_INFINITY) return;
        if (chunk === undefined) throw truncated(reader.offset);
        const part = chunk.subarray(0, left);
        if (part.byteLength < chunk.byteLength) reader.putBack(chunk.subarray(part.byteLength));
        left -= part.byteLength;
        yield part;
      }
      if (!length.partial) break;
      length = await readLength(reader);
      left = length.bytes;
    }
    if ((await reader.chunk()) !== undefined) {
      throw badFraming(reader.offset, "Something follows the message: one message to a file.");
    }
  }

  async function* dataPacket(): AsyncGenerator<Uint8Array> {
    if (header.length.partial) {
      yield header.raw.subarray(0, 1);
      yield* inLargeParts(bodyHead, bodyRest());
      return;
    }
    yield Buffer.concat([header.raw, bodyHead]);
    yield* bodyRest();
  }

  return {
    sessionKeys,
    protection: header.tag === TAG.encrypted ? "none" : isAead ? "aead" : "seipd-1",
    bodyHead,
    tag: header.tag,
    dataPacket,
  };
}

const PART_OCTET = 0xe0 | 16;
const PART_BYTES = 2 ** 16;

/**
 * A packet's body with partial lengths of 64 KiB. gpg writes parts of 8 KiB when it reads from a
 * pipe, and openpgp.js carries each part by itself through all of its streams.
 */
async function* inLargeParts(
  start: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [start];
  let size = start.byteLength;
  for await (const chunk of rest) {
    held.push(chunk);
    size += chunk.byteLength;
    if (size < PART_BYTES) continue;
    const joined = Buffer.concat(held);
    let at = 0;
    for (; joined.byteLength - at >= PART_BYTES; at += PART_BYTES) {
      yield Uint8Array.of(PART_OCTET);
      yield joined.subarray(at, at + PART_BYTES);
    }
    held = [joined.subarray(at)];
    size = joined.byteLength - at;
  }
  const length = Buffer.from([0xff, 0, 0, 0, 0]);
  length.writeUInt32BE(size, 1);
  yield Buffer.concat([length, ...held]);
}
