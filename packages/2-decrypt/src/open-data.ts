import { type ByteReader, createByteReader } from "@sluice/streams";
import type { PublicKey } from "openpgp";
import { openPieces } from "./aead.ts";
import type { Envelope } from "./envelope.ts";
import { limitExceeded } from "./failures.ts";
import { innerMessage } from "./inner-message.ts";
import type { DecryptLimits, Spent } from "./limits.ts";
import { openHashed, type SymmetricKey } from "./seipd-1.ts";
import { watchSignatures } from "./signatures.ts";

/** Framing, signatures and padding around the data, and what packing adds to data that does not pack. */
const margin = (bytes: number): number => 2 ** 20 + bytes / 8;

/**
 * Decrypts a message's data and gives the literal data inside, as it comes. After the last byte the
 * message's integrity is judged, and then its signatures.
 *
 * What is wrong inside the encryption is told only when the message is known to be what was encrypted:
 * the rest is decrypted first, and a message that was altered has one answer, whatever it came to.
 */
export async function* openData(
  envelope: Envelope,
  key: SymmetricKey,
  signers: readonly PublicKey[],
  limits: DecryptLimits,
): AsyncGenerator<Uint8Array> {
  const { maxOutputBytes } = limits;
  const spent: Spent = { openedBytes: 0, packets: envelope.packets, hasBzip2: false };
  const signatures = watchSignatures(signers, limits);
  const verdict: Verdict = {};
  const packets = createByteReader(opened(envelope, key, spent, maxOutputBytes, verdict));
  try {
    let written = 0;
    for await (const chunk of innerMessage(packets, { limits, spent, signatures })) {
      written += chunk.byteLength;
      if (written > maxOutputBytes) {
        throw limitExceeded(
          `The message holds more than maxOutputBytes = ${maxOutputBytes} bytes.`,
        );
      }
      yield chunk;
    }
    await signatures.judge();
  } catch (error) {
    await readToEnd(packets);
    throw verdict.failure === undefined ? error : verdict.failure.error;
  } finally {
    await packets.close();
  }
}

/** Why the encrypted data could not be opened to its end: kept here, whoever was reading when it failed. */
interface Verdict {
  failure?: { readonly error: unknown };
}

/** The packets inside the encryption. Throws at their end if they are not what was encrypted. */
async function* opened(
  envelope: Envelope,
  key: SymmetricKey,
  spent: Spent,
  maxOutputBytes: number,
  verdict: Verdict,
): AsyncGenerator<Uint8Array> {
  const offset = (): number => envelope.offset();
  const body = envelope.body();
  const packets =
    envelope.protection === "seipd-1"
      ? openHashed(body, key, offset)
      : openPieces(createByteReader(body), envelope.tag, key.data, offset);
  try {
    for await (const chunk of packets) {
      spent.openedBytes += chunk.byteLength;
      // The size of what is encrypted says nothing of it, so that this need not wait for the end.
      if (spent.openedBytes > maxOutputBytes + margin(maxOutputBytes)) {
        throw limitExceeded(
          `The message holds more than maxOutputBytes = ${maxOutputBytes} bytes.`,
        );
      }
      yield chunk;
    }
  } catch (error) {
    verdict.failure = { error };
    throw error;
  }
}

/** Reads on until the end, or until what is read fails: the verdict has the reason. */
async function readToEnd(packets: ByteReader): Promise<void> {
  try {
    while ((await packets.chunk()) !== undefined);
  } catch {
    // It is in the verdict.
  }
}
