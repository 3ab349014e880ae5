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
  limits: { readonly maxOutputBytes: number },
): AsyncGenerator<Uint8Array> {
  let read = 0;
  let readAtOutput = 0;
  let written = 0;
  let failure: { readonly error: unknown } | undefined;
  const packet = envelope.dataPacket();
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of packet) {
        read += chunk.byteLength;
        if (read - readAtOutput > MAX_SILENT_BYTES) {
          throw limitExceeded(`The message shows no data within ${MAX_SILENT_BYTES} bytes.`);
        }
        yield chunk;
      }
    } catch (error) {
      // openpgp.js wraps what the stream throws: the source's own error is kept to be thrown again.
      failure = { error };
      throw error;
    }
  }
  const input = toWebStream(watched());
  let cancel: (() => Promise<void>) | undefined;
  try {
    const { data } = await decrypt({
      message: await readMessage({ binaryMessage: input }),
      sessionKeys: sessionKey,
      format: "binary",
      config: {
        allowUnauthenticatedMessages: false,
        allowUnauthenticatedStream: true,
        maxDecompressedMessageSize: 2 * limits.maxOutputBytes + UNPACKED_MARGIN_BYTES,
      },
    });
    const plaintext = data.getReader();
    cancel = () => plaintext.cancel();
    for (;;) {
      const { done, value } = await plaintext.read();
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
    if (error instanceof StageError) throw error;
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
