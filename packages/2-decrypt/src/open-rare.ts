import { StageError } from "@sluice/errors";
import { decrypt, type PublicKey, readMessage } from "openpgp";
import type { Envelope } from "./envelope.ts";
import {
  integrityFailed,
  limitExceeded,
  unsupportedAlgorithm,
  wrongPassphrase,
} from "./failures.ts";
import type { FoundSessionKey } from "./session-key.ts";
import { toWebStream } from "./web-stream.ts";

/** Framing and signatures around the data may add this much to what is unpacked. */
const UNPACKED_MARGIN_BYTES = 2 ** 20;
/** openpgp.js holds a packet inside the encryption that is not data whole: it gets this much to show data. */
const MAX_SILENT_BYTES = 64 * 2 ** 20;

/**
 * Like openData, for the ciphers that OpenSSL has no more (CAST5, Blowfish, Twofish): openpgp.js
 * decrypts them and reads the message inside. Throws after the last byte if its check fails.
 */
export async function* openRare(
  envelope: Envelope,
  { sessionKey, isGuess }: FoundSessionKey,
  limits: { readonly maxOutputBytes: number; readonly stallTimeoutMs: number },
  signers: readonly PublicKey[],
): AsyncGenerator<Uint8Array> {
  if (signers.length > 0) {
    throw unsupportedAlgorithm(`A signature inside the cipher ${sessionKey.algorithm}`);
  }
  let read = 0;
  let readAtOutput = 0;
  let written = 0;
  let failure: { readonly error: unknown } | undefined;
  const packet = dataPacket(envelope);
  let isPulling = false;
  let pulls = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        isPulling = true;
        pulls++;
        const { done, value } = await packet.next();
        isPulling = false;
        if (done) return;
        read += value.byteLength;
        if (read - readAtOutput > MAX_SILENT_BYTES) {
          throw limitExceeded(`The message shows no data within ${MAX_SILENT_BYTES} bytes.`);
        }
        yield value;
      }
    } catch (error) {
      // openpgp.js wraps what the stream throws: the source's own error is kept to be thrown again.
      failure = { error };
      throw error;
    } finally {
      isPulling = false;
    }
  }
  // openpgp.js 6.3.2 waits for itself for ever when a packet inside the encryption cannot be parsed:
  // nobody reads the stream of a packet that was refused, and so nothing after it is read either.
  const unlessStalled = async <T>(work: Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    const stalled = new Promise<never>((_, reject) => {
      let pullsBefore = pulls;
      timer = setInterval(() => {
        if (!isPulling && pulls === pullsBefore) reject(integrityFailed(read));
        pullsBefore = pulls;
      }, limits.stallTimeoutMs);
    });
    try {
      return await Promise.race([work, stalled]);
    } finally {
      clearInterval(timer);
    }
  };
  const input = toWebStream(watched());
  let cancel: (() => Promise<void>) | undefined;
  try {
    const message = await unlessStalled(
      readMessage<ReadableStream<Uint8Array>>({ binaryMessage: input }),
    );
    const opening = decrypt({
      message,
      sessionKeys: sessionKey,
      format: "binary",
      config: {
        allowUnauthenticatedMessages: false,
        allowUnauthenticatedStream: true,
        maxDecompressedMessageSize: 2 * limits.maxOutputBytes + UNPACKED_MARGIN_BYTES,
      },
    });
    const { data } = await unlessStalled(opening);
    const plaintext: ReadableStreamDefaultReader<Uint8Array> = data.getReader();
    cancel = () => plaintext.cancel();
    for (;;) {
      const { done, value } = await unlessStalled(plaintext.read());
      if (done) break;
      if (!(value instanceof Uint8Array)) throw integrityFailed(read);
      readAtOutput = read;
      written += value.byteLength;
      if (written > limits.maxOutputBytes) {
        throw limitExceeded(
          `The message holds more than maxOutputBytes = ${limits.maxOutputBytes} bytes.`,
        );
      }
      if (value.byteLength > 0) yield value;
    }
    if (!(await packet.next()).done) throw integrityFailed(read);
  } catch (error) {
    if (failure !== undefined) throw failure.error;
    if (error instanceof StageError && !(isGuess && written === 0)) throw error;
    const message = error instanceof Error ? error.message : "";
    if (message.includes("Maximum decompressed message size")) {
      throw limitExceeded(
        `The message unpacks to more than maxOutputBytes = ${limits.maxOutputBytes}.`,
      );
    }
    if (isGuess && written === 0) throw wrongPassphrase(error);
    throw integrityFailed(read, error);
  } finally {
    // Not awaited: openpgp.js settles it only when all of its inner streams have, and the caller closes the source.
    cancel?.().catch(() => {});
  }
}

const PART_OCTET = 0xe0 | 16;
const PART_BYTES = 2 ** 16;

/**
 * The data packet with partial lengths of 64 KiB: openpgp.js carries each part by itself through all
 * of its streams, and gpg writes parts of 8 KiB when it reads from a pipe.
 */
async function* dataPacket(envelope: Envelope): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(0xc0 | envelope.tag);
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of envelope.body()) {
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
