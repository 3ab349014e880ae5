import { StageError } from "@sluice/errors";
import { type PublicKey, readSignature, type SignaturePacket } from "openpgp";
import { limitExceeded, malformed } from "./failures.ts";
import { createMessageHash, type HashKind, type MessageHash, weakHash } from "./message-hash.ts";
import { signerKeyIds } from "./signer-keys.ts";

/** Watches a message for the signatures that it must bear. */
export interface SignatureWatch {
  /** A one-pass signature packet (RFC 9580, 5.4): what is to be hashed. */
  onePass(body: Uint8Array): void;
  /** A signature packet, before the data or after it (RFC 9580, 5.2). */
  signature(body: Uint8Array, isBeforeData: boolean): Promise<void>;
  data(chunk: Uint8Array): void;
  /** Throws `signature_invalid` unless one signature is valid and by one of the signers. */
  judge(): Promise<void>;
}

/** The watch of those who do not ask for a signature. */
const NO_WATCH: SignatureWatch = {
  onePass() {},
  async signature() {},
  data() {},
  async judge() {},
};

/** Binary and text documents (RFC 9580, 5.2.1). */
const BINARY = 0;
const TEXT = 1;

/** A signature that was announced before the data, and the hash that it is to be judged by. */
interface Announced {
  readonly type: number;
  readonly hash: MessageHash | undefined;
  readonly kind: HashKind;
}

interface Found {
  readonly packet: SignaturePacket;
  readonly announced: Announced | undefined;
}

/** Creates the watch over one message; without signers it looks at nothing. */
export function watchSignatures(
  signers: readonly PublicKey[],
  { maxSignatures }: { readonly maxSignatures: number },
): SignatureWatch {
  if (signers.length === 0) return NO_WATCH;
  const announced: Announced[] = [];
  const found: Found[] = [];
  const hashes: MessageHash[] = [];
  /** Reasons that are known before anything is judged. */
  const unread: string[] = [];
  let signatures = 0;

  const announce = (type: number, kind: HashKind): Announced => {
    if (announced.length + found.length >= maxSignatures) {
      throw limitExceeded(
        `The message bears more signatures than maxSignatures = ${maxSignatures}.`,
      );
    }
    const same = hashes.find(
      (hash) =>
        hash.kind.algorithm === kind.algorithm &&
        hash.kind.isText === kind.isText &&
        Buffer.compare(hash.kind.salt, kind.salt) === 0,
    );
    const hash = same ?? createMessageHash(kind);
    if (same === undefined && hash !== undefined) hashes.push(hash);
    return { type, hash, kind };
  };

  return {
    onePass(body) {
      const [version = 0, type = 0, algorithm = 0, , saltBytes = 0] = body;
      if (version !== 3 && version !== 6) return;
      const salt = version === 6 ? body.slice(5, 5 + saltBytes) : new Uint8Array(0);
      announced.push(announce(type, { algorithm, isText: type === TEXT, salt }));
    },
    async signature(body, isBeforeData) {
      signatures++;
      if (signatures > maxSignatures) {
        throw limitExceeded(
          `The message bears more signatures than maxSignatures = ${maxSignatures}.`,
        );
      }
      // The last one announced is the first to follow the data.
      const before = isBeforeData ? undefined : announced.pop();
      const packet = await readPacket(body);
      if (packet === undefined) {
        unread.push(`a signature of version ${body[0]} that cannot be read`);
        return;
      }
      const type = packet.signatureType ?? -1;
      const kind = {
        algorithm: packet.hashAlgorithm ?? 0,
        isText: type === TEXT,
        salt: saltOf(packet),
      };
      found.push({ packet, announced: isBeforeData ? announce(type, kind) : before });
    },
    data(chunk) {
      for (const hash of hashes) hash.update(chunk);
    },
    async judge() {
      const reasons: string[] = [...unread];
      for (const one of found) {
        const reason = await reasonAgainst(one, signers);
        if (reason === undefined) return;
        reasons.push(reason);
      }
      const seen = reasons.length === 0 ? "no signature" : reasons.join("; ");
      const expected = `a valid signature by one of the keys ${signerKeyIds(signers).join(", ")}`;
      const message =
        reasons.length === 0 ? "The message is not signed" : `The message bears ${seen}`;
      throw new StageError("decrypt", "signature_invalid", `${message}; expected ${expected}.`, {
        seen,
        expected,
      });
    },
  };
}

const saltOf = (packet: SignaturePacket): Uint8Array =>
  (packet as { readonly salt?: Uint8Array | null }).salt ?? new Uint8Array(0);

async function readPacket(body: Uint8Array): Promise<SignaturePacket | undefined> {
  const header = Buffer.from([0xc2, 0xff, 0, 0, 0, 0]);
  header.writeUInt32BE(body.byteLength, 2);
  const binarySignature = new Uint8Array(Buffer.concat([header, body]));
  try {
    const { packets } = await readSignature({ binarySignature });
    const [packet] = packets;
    return packet?.signatureData instanceof Uint8Array ? packet : undefined;
  } catch {
    // openpgp.js has no code for what it does not read; the version in the answer tells the most.
    return undefined;
  }
}

/** Why a signature does not count, in words; undefined when it does. */
async function reasonAgainst(
  { packet, announced }: Found,
  signers: readonly PublicKey[],
): Promise<string | undefined> {
  const id = packet.issuerKeyID.toHex().toUpperCase();
  const owners = signers.filter((key) => key.getKeys(packet.issuerKeyID).length > 0);
  if (owners.length === 0) return `a signature by the key ${id}, which is no signer's`;
  const type = packet.signatureType ?? -1;
  if (type !== BINARY && type !== TEXT) return `a signature by ${id} that is not one of data`;
  const weak = weakHash(packet.hashAlgorithm ?? 0);
  if (weak !== undefined) return `a signature by ${id} with ${weak}, which can be forged`;
  const fits =
    announced !== undefined &&
    announced.type === type &&
    announced.kind.algorithm === packet.hashAlgorithm &&
    Buffer.compare(announced.kind.salt, saltOf(packet)) === 0;
  if (!fits || announced.hash === undefined) {
    return `a signature by ${id} that was not announced as it is, or with an unknown hash`;
  }
  // openpgp.js takes the digest of data that went by from this field, as it does for its own streams.
  Object.assign(packet, { hashed: announced.hash.digest(trailerOf(packet)) });
  let reason: string | undefined;
  for (const owner of owners) {
    reason = await reasonAgainstKey(packet, owner, id);
    if (reason === undefined) return undefined;
  }
  return reason;
}

/** What is hashed after the data: the signature's own hashed part, and its length (RFC 9580, 5.2.4). */
function trailerOf({ signatureData, version }: SignaturePacket): Uint8Array {
  if (signatureData === null) throw malformed(0);
  const end = Buffer.from([version, 0xff, 0, 0, 0, 0]);
  end.writeUInt32BE(signatureData.byteLength, 2);
  return Buffer.concat([signatureData, end]);
}

async function reasonAgainstKey(
  packet: SignaturePacket,
  owner: PublicKey,
  id: string,
): Promise<string | undefined> {
  const [part] = owner.getKeys(packet.issuerKeyID);
  const { created } = packet;
  if (part === undefined || created === null) return `a signature by ${id} without a date`;
  try {
    await packet.verify(part.keyPacket, packet.signatureType ?? BINARY, new Uint8Array(0));
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    if (message.includes("is expired")) return `a signature by ${id} that has expired`;
    if (message.includes("in the future")) return `a signature by ${id} from the future`;
    return `a signature by ${id} that does not fit the data`;
  }
  if (part.getCreationTime() > created) return `a signature by ${id} that is older than the key`;
  try {
    // As of the signature's day: a key that expired since has proved the files that it signed before.
    await owner.getSigningKey(part.getKeyID(), created);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    if (message.includes("revoked")) return `a signature by ${id}, a key that is revoked`;
    if (message.includes("expired")) return `a signature by ${id}, a key that had expired`;
    return `a signature by ${id}, a key that may not sign, or is too weak`;
  }
}
