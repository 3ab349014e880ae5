import { createDecipheriv, hkdfSync } from "node:crypto";
import type { ByteReader } from "@sluice/streams";
import { openEax } from "./eax.ts";
import { integrityFailed, limitExceeded, truncated, unsupportedAlgorithm } from "./failures.ts";
import { exactly, TAG } from "./packet-framing.ts";

const TAG_BYTES = 16;
/** RFC 9580, 5.13.2: 4 MiB to a piece; each piece is held until it is authenticated. */
const MAX_CHUNK_SIZE_OCTET = 16;

interface Mode {
  readonly name: string;
  readonly nonceBytes: number;
}

/** RFC 9580, 9.6. */
const MODES: Readonly<Record<number, Mode>> = {
  1: { name: "eax", nonceBytes: 16 },
  2: { name: "ocb", nonceBytes: 15 },
  3: { name: "gcm", nonceBytes: 12 },
};
/** AES alone: no OpenPGP tool authenticates with the other ciphers. */
const AES_KEY_BYTES: Readonly<Record<number, number>> = { 7: 16, 8: 24, 9: 32 };

/** How a packet is encrypted, piece by piece. */
interface Pieces {
  readonly mode: Mode;
  readonly key: Uint8Array;
  readonly chunkBytes: number;
  readonly nonce: (index: number) => Uint8Array;
  /** Goes before each piece's place into what is authenticated. */
  readonly associated: Uint8Array;
}

/** Throws when the beginning of an authenticated packet's body names what is not supported or over the limit. */
export function assertAeadHead(tag: number, head: Uint8Array): void {
  const [, cipher = 0, mode = 0, chunkSize = 0] = head;
  if (AES_KEY_BYTES[cipher] === undefined) {
    throw unsupportedAlgorithm(`Authenticated encryption with cipher ${cipher}`);
  }
  // GCM came with version 2 of the packet that GnuPG's packet 20 was made into.
  if (MODES[mode] === undefined || (tag === TAG.encryptedWithAead && mode === 3)) {
    throw unsupportedAlgorithm(`Authenticated encryption mode ${mode}`);
  }
  if (chunkSize > MAX_CHUNK_SIZE_OCTET) {
    throw limitExceeded(
      `The message is authenticated in pieces of 2^${chunkSize + 6} bytes; 4 MiB is the limit of RFC 9580, 5.13.2.`,
    );
  }
}

/** The number as eight octets, big end first. */
function eightOctets(value: number): Buffer {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(BigInt(value));
  return octets;
}

/** Reads the head of a packet 18 of version 2 (RFC 9580, 5.13.2), or of GnuPG's packet 20 (draft-koch-openpgp-2015-rfc4880bis, 5.16). */
async function readPieces(body: ByteReader, tag: number, sessionKey: Uint8Array): Promise<Pieces> {
  const head = await exactly(body, 4, truncated);
  assertAeadHead(tag, head);
  const [, cipher = 0, modeId = 0, chunkSize = 0] = head;
  const mode = MODES[modeId];
  if (mode === undefined || sessionKey.byteLength !== AES_KEY_BYTES[cipher]) {
    throw integrityFailed(body.offset);
  }
  const associated = Buffer.concat([Uint8Array.of(0xc0 | tag), head]);
  const chunkBytes = 2 ** (chunkSize + 6);
  if (tag === TAG.encryptedWithAead) {
    const start = await exactly(body, mode.nonceBytes, truncated);
    const nonce = (index: number): Uint8Array => {
      const last = eightOctets(index);
      const shift = start.byteLength - last.byteLength;
      return start.map((byte, i) => byte ^ (last[i - shift] ?? 0));
    };
    return { mode, key: sessionKey, chunkBytes, nonce, associated };
  }
  const salt = await exactly(body, 32, truncated);
  const keyBytes = sessionKey.byteLength;
  const startBytes = mode.nonceBytes - 8;
  const derived = Buffer.from(
    hkdfSync("sha256", sessionKey, salt, associated, keyBytes + startBytes),
  );
  const start = derived.subarray(keyBytes);
  return {
    mode,
    key: derived.subarray(0, keyBytes),
    chunkBytes,
    nonce: (index) => Buffer.concat([start, eightOctets(index)]),
    associated,
  };
}

/** One authenticated piece and its tag; undefined when the tag is wrong. */
function openPiece(
  { mode, key, nonce, associated }: Pieces,
  index: number,
  place: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const encrypted = sealed.subarray(0, -TAG_BYTES);
  const tag = sealed.subarray(-TAG_BYTES);
  const data = Buffer.concat([associated, place]);
  if (mode.name === "eax") return openEax(key, nonce(index), data, encrypted, tag);
  try {
    const name = `aes-${key.byteLength * 8}-${mode.name}` as "aes-128-gcm";
    const decipher = createDecipheriv(name, key, nonce(index), { authTagLength: TAG_BYTES });
    decipher.setAAD(data);
    decipher.setAuthTag(tag);
    const plain = decipher.update(encrypted);
    // OCB keeps the bytes after the last whole block until here.
    const rest = decipher.final();
    return rest.byteLength === 0 ? plain : Buffer.concat([plain, rest]);
  } catch {
    // OpenSSL says that the tag is wrong, and no more.
    return undefined;
  }
}

/**
 * Decrypts an authenticated packet's body and gives the packets inside, each piece after its tag has
 * been judged, and all of them before the tag at the end, which says that none is missing. `body`
 * begins with the version. Throws `integrity_failed`.
 */
export async function* openPieces(
  body: ByteReader,
  tag: number,
  sessionKey: Uint8Array,
  offset: () => number,
): AsyncGenerator<Uint8Array> {
  const pieces = await readPieces(body, tag, sessionKey);
  const isLegacy = tag === TAG.encryptedWithAead;
  const { chunkBytes } = pieces;
  const opened = (sealed: Uint8Array, index: number, total?: number): Uint8Array => {
    // Packet 20 names a piece's place in what is authenticated too; version 2 in the nonce alone.
    const place = Buffer.concat([
      ...(isLegacy ? [eightOctets(index)] : []),
      ...(total === undefined ? [] : [eightOctets(total)]),
    ]);
    const plain = openPiece(pieces, index, place, sealed);
    if (plain === undefined) throw integrityFailed(offset());
    return plain;
  };

  let total = 0;
  let index = 0;
  // The tag at the end follows the last piece, whatever its size: its bytes are always held back.
  let held = await body.take(TAG_BYTES);
  for (;;) {
    const more = await body.take(chunkBytes + TAG_BYTES);
    const joined = Buffer.concat([held, more]);
    if (joined.byteLength < TAG_BYTES) throw integrityFailed(offset());
    const sealed = joined.subarray(0, -TAG_BYTES);
    held = joined.subarray(-TAG_BYTES);
    if (sealed.byteLength > 0) {
      if (sealed.byteLength <= TAG_BYTES) throw integrityFailed(offset());
      const plain = opened(sealed, index);
      index++;
      total += plain.byteLength;
      yield plain;
    }
    if (more.byteLength < chunkBytes + TAG_BYTES) break;
  }
  opened(held, index, total);
}
