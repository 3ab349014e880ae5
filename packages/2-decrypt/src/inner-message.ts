import { type ByteReader, createByteReader } from "@sluice/streams";
import { limitExceeded, malformed, unsupportedAlgorithm } from "./failures.ts";
import { assertRatio, countPacket, type DecryptLimits, type Spent } from "./limits.ts";
import { exactly, type PacketHeader, packetBody, readPacketHeader, TAG } from "./packet-framing.ts";
import type { SignatureWatch } from "./signatures.ts";
import { unpack } from "./unpack.ts";

/** Signatures are small; one with every subpacket is below 64 KiB. */
const MAX_SIGNATURE_BYTES = 2 ** 17;
const BZIP2 = 3;
/** Packet types that may be passed over when they are not known (RFC 9580, 4.3). */
const FIRST_NON_CRITICAL = 40;

/** What the walk through one message shares between its levels. */
export interface Walk {
  readonly limits: DecryptLimits;
  readonly spent: Spent;
  readonly signatures: SignatureWatch;
}

/**
 * The literal data of the one message that `packets` are (RFC 9580, 10.3): packed and signed in any
 * order, with marker and padding packets between. Everything is passed by as it comes; nothing is
 * held but small packets. What is wrong is thrown as it is found: the caller tells it only when the
 * message's integrity has been judged.
 */
export async function* innerMessage(
  packets: ByteReader,
  walk: Walk,
  depth = 1,
): AsyncGenerator<Uint8Array> {
  const { limits, spent, signatures } = walk;
  let hasData = false;
  for (;;) {
    const header = await readPacketHeader(packets, malformed);
    if (header === undefined) break;
    countPacket(spent, limits);
    const body = packetBody(packets, header, malformed);
    switch (header.tag) {
      case TAG.literal:
      case TAG.compressed:
        if (hasData) throw malformed(packets.offset);
        hasData = true;
        if (header.tag === TAG.literal) yield* literalData(body, walk);
        else yield* compressedMessage(body, walk, depth);
        break;
      case TAG.onePassSignature:
        if (hasData) throw malformed(packets.offset);
        signatures.onePass(await small(packets, header));
        break;
      case TAG.signature:
        await signatures.signature(await small(packets, header), !hasData);
        break;
      case TAG.encryptedWithIntegrity:
      case TAG.encryptedWithAead:
      case TAG.encrypted:
      case TAG.publicKeySessionKey:
      case TAG.passphraseSessionKey:
        throw unsupportedAlgorithm("An encrypted message inside the encrypted message");
      default:
        if (!isPassedOver(header.tag)) throw malformed(packets.offset);
        for await (const _ of body);
    }
  }
  if (!hasData || (await packets.chunk()) !== undefined) throw malformed(packets.offset);
}

const isPassedOver = (tag: number): boolean =>
  tag === TAG.marker || tag === TAG.padding || tag >= FIRST_NON_CRITICAL;

async function small(packets: ByteReader, { length }: PacketHeader): Promise<Uint8Array> {
  if (length.partial || length.bytes > MAX_SIGNATURE_BYTES) throw malformed(packets.offset);
  return await exactly(packets, length.bytes, malformed);
}

/** Literal data (RFC 9580, 5.9). Its file name and date are ignored: nobody signed them. */
async function* literalData(
  body: AsyncIterable<Uint8Array>,
  { signatures }: Walk,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(body);
  const [, nameBytes = 0] = await exactly(reader, 2, malformed);
  await exactly(reader, nameBytes + 4, malformed);
  for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) {
    signatures.data(chunk);
    yield chunk;
  }
}

async function* compressedMessage(
  body: AsyncIterable<Uint8Array>,
  walk: Walk,
  depth: number,
): AsyncGenerator<Uint8Array> {
  const { limits, spent } = walk;
  if (depth + 1 > limits.maxNestedDepth) {
    throw limitExceeded(
      `The message holds packets in packets deeper than maxNestedDepth = ${limits.maxNestedDepth}.`,
    );
  }
  const unpacked = unpack(createByteReader(body), (algorithm) => {
    spent.hasBzip2 ||= algorithm === BZIP2;
  });
  // Counted here and not at the data: what unpacks to packets without data has an end too.
  async function* counted(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of unpacked) {
      bytes += chunk.byteLength;
      assertRatio(bytes, spent, limits);
      yield chunk;
    }
  }
  const reader = createByteReader(counted());
  try {
    yield* innerMessage(reader, walk, depth + 1);
  } finally {
    await reader.close();
  }
}
