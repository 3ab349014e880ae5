import { createHash, type Hash } from "node:crypto";

/** Hash algorithms that a message may be signed with (RFC 9580, 9.5), as OpenSSL calls them. */
const HASHES: Readonly<Record<number, string>> = {
  8: "sha256",
  9: "sha384",
  10: "sha512",
  11: "sha224",
  12: "sha3-256",
  14: "sha3-512",
};
const WEAK: Readonly<Record<number, string>> = { 1: "MD5", 2: "SHA-1", 3: "RIPEMD-160" };

/** The name of a hash that is too weak to believe; undefined for any other. */
export const weakHash = (algorithm: number): string | undefined => WEAK[algorithm];

/** What a signature is made of, as far as hashing the data goes. */
export interface HashKind {
  readonly algorithm: number;
  /** Line ends are hashed as CR LF (a signature of type 1). */
  readonly isText: boolean;
  /** Hashed before the data (version 6). */
  readonly salt: Uint8Array;
}

/** Hashes a message's data as it goes by, so that no size of it is held. */
export interface MessageHash {
  readonly kind: HashKind;
  update(chunk: Uint8Array): void;
  /** The digest of the data and then of `trailer`; may be asked for several trailers. */
  digest(trailer: Uint8Array): Uint8Array;
}

const CR = 0x0d;
const LF = 0x0a;

/** Creates a hash of data; undefined for an algorithm that is unknown or weak. */
export function createMessageHash(kind: HashKind): MessageHash | undefined {
  const name = HASHES[kind.algorithm];
  if (name === undefined) return undefined;
  const hash = createHash(name).update(kind.salt);
  let endsInCr = false;
  return {
    kind,
    update(chunk) {
      if (kind.isText) endsInCr = updateText(hash, chunk, endsInCr);
      else hash.update(chunk);
    },
    digest: (trailer) => hash.copy().update(trailer).digest(),
  };
}

const LINE_END = Uint8Array.of(CR, LF);

/** Hashes each line feed that stands alone as CR LF; gives whether the chunk ends in CR. */
function updateText(hash: Hash, chunk: Uint8Array, followsCr: boolean): boolean {
  let from = 0;
  for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
    const isWhole = at === 0 ? followsCr : chunk[at - 1] === CR;
    if (isWhole) continue;
    hash.update(chunk.subarray(from, at));
    hash.update(LINE_END);
    from = at + 1;
  }
  hash.update(chunk.subarray(from));
  return chunk.byteLength === 0 ? followsCr : chunk[chunk.byteLength - 1] === CR;
}
