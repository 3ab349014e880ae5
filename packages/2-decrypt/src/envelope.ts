import type { ByteReader } from "@sluice/streams";
import { assertAeadHead } from "./aead.ts";
import { describeBytes, describePacket, UNKNOWN_BINARY } from "./describe-bytes.ts";
import {
  badFraming,
  limitExceeded,
  notEncrypted,
  truncated,
  unsupportedAlgorithm,
} from "./failures.ts";
import { countPacket, type DecryptLimits, type Spent } from "./limits.ts";
import { exactly, type PacketHeader, packetBody, readPacketHeader, TAG } from "./packet-framing.ts";

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
  /** Packets up to the data packet, with it. */
  readonly packets: number;
  /** The data packet's body from its version on; throws where the file ends before or after it. */
  readonly body: () => AsyncGenerator<Uint8Array>;
  /** Bytes of the message that were read. */
  readonly offset: () => number;
}

const BODY_HEAD_BYTES = 64;
/** RSA with 32,768 bits fills 4 KiB. */
const MAX_SESSION_KEY_BYTES = 8192;
const MAX_IGNORED_BYTES = 65_536;

/** Reads a message's packets up to its encrypted data. */
export async function readEnvelope(reader: ByteReader, limits: DecryptLimits): Promise<Envelope> {
  const sessionKeys: SessionKeyPacket[] = [];
  const spent: Spent = { openedBytes: 0, packets: 0, hasBzip2: false };
  for (let first = true; ; first = false) {
    const header = await readPacketHeader(reader, truncated);
    if (header === undefined) throw await noPacket(reader, first);
    if (first) await assertBeginsMessage(reader, header);
    countPacket(spent, limits);
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
        return await dataEnvelope(reader, header, sessionKeys, spent.packets);
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
  return await exactly(reader, header.length.bytes, truncated);
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
  packets: number,
): Promise<Envelope> {
  const bodyHead = await reader.take(Math.min(BODY_HEAD_BYTES, header.length.bytes));
  const isCut = bodyHead.byteLength < Math.min(BODY_HEAD_BYTES, header.length.bytes);
  if (isCut && header.tag !== TAG.encrypted) throw truncated(reader.offset);
  reader.putBack(bodyHead);
  const [version] = bodyHead;
  const isAead = header.tag === TAG.encryptedWithAead || version === 2;
  const isKnown =
    header.tag === TAG.encryptedWithAead ? version === 1 : version === 1 || version === 2;
  if (header.tag !== TAG.encrypted && !isKnown) {
    throw unsupportedAlgorithm(`Encrypted data of version ${version}`);
  }
  if (isAead) assertAeadHead(header.tag, bodyHead);

  async function* body(): AsyncGenerator<Uint8Array> {
    yield* packetBody(reader, header, truncated);
    if ((await reader.chunk()) !== undefined) {
      throw badFraming(reader.offset, "Something follows the message: one message to a file.");
    }
  }

  const fitting = sessionKeys.filter((packet) => fits(packet, header.tag, version));
  if (fitting.length === 0) {
    throw badFraming(reader.offset, "The session keys are of another version than the data.");
  }
  const protection = header.tag === TAG.encrypted ? "none" : isAead ? "aead" : "seipd-1";
  return {
    sessionKeys: fitting,
    protection,
    bodyHead,
    tag: header.tag,
    packets,
    body,
    offset: () => reader.offset,
  };
}

/** Session keys of version 6 are for data of version 2 alone, and others for other data (RFC 9580, 10.3.2.1). */
function fits({ body: [version] }: SessionKeyPacket, tag: number, dataVersion?: number): boolean {
  const isNew = tag === TAG.encryptedWithIntegrity && dataVersion === 2;
  return isNew === (version === 6);
}
