import { StageError } from "@sluice/errors";
import { decrypt, readMessage } from "openpgp";
import type { Envelope } from "./envelope.ts";
import { integrityFailed, limitExceeded, wrongPassphrase } from "./failures.ts";
import type { FoundSessionKey } from "./session-key.ts";
import { toWebStream } from "./web-stream.ts";

/** Framing and signatures around the data may add this much to what is unpacked. */
const UNPACKED_MARGIN_BYTES = 2 ** 20;
/** openpgp.js holds a packet inside the encryption that is not data whole: it gets this much to show data. */
const MAX_SILENT_BYTES = 64 * 2 ** 20;

/** Decrypts the data packet and gives the literal data inside. Throws after the last byte if its check fails. */
export async function* openData(
  envelope: Envelope,
  { sessionKey, isGuess }: FoundSessionKey,
  limits: { readonly maxOutputBytes: number; readonly stallTimeoutMs: number },
): AsyncGenerator<Uint8Array> {
  let read = 0;
  let readAtOutput = 0;
  let written = 0;
  let failure: { readonly error: unknown } | undefined;
  const packet = envelope.dataPacket();
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
