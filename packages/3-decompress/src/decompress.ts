import { setImmediate } from "node:timers/promises";
import { StageError } from "@sluice/errors";
import type { ArchiveSettings, Compression } from "@sluice/schema";
import { maxBytes, peek, type Transform, UNCOUNTED, type WorkingMemory } from "@sluice/streams";
import { CODECS } from "./codecs.ts";
import { compressionOf, disagreement } from "./compression.ts";
import { assertContent } from "./content.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { SNIFF_BYTES } from "./sniff.ts";

export interface DecompressOptions extends Partial<Limits> {
  /**
   * `auto` opens what the bytes say, and passes plain bytes on; `none` and the others must be what the
   * bytes are. brotli and deflate cannot be told from their bytes: they open only when named.
   */
  readonly compression: Compression;
  /** The archive that the settings expect inside, if any: the content must be one, or must be none. */
  readonly archive?: ArchiveSettings["kind"];
  /** Holds what a codec remembers. Default: nobody keeps account. */
  readonly memory?: WorkingMemory;
}

/**
 * Takes the compression off one object and gives its content: plain bytes, or the bytes of the archive
 * that the settings expect. What to open is told from the bytes, never from a name, and only one
 * layer is opened.
 *
 * Fails with the codes of the decompress stage, before any byte is given when the settings and the
 * bytes disagree; the source's own errors pass through as they are.
 */
export function decompress(options: DecompressOptions): Transform<Uint8Array, Uint8Array> {
  const { compression, archive, memory = UNCOUNTED, ...given } = options;
  const limits: Limits = { ...DEFAULT_LIMITS, ...given };
  return async function* (source) {
    const outer = await peek(source, SNIFF_BYTES);
    const history = memory.part(
      (message) => new StageError("decompress", "limit_exceeded", `The content: ${message}.`),
    );
    try {
      const codec = compressionOf(outer.head, compression, archive);
      if (codec === undefined) {
        assertContent(outer.head, archive);
        yield* withinMaxOutput(limits)(outer.bytes);
        return;
      }
      const inner = await peek(CODECS[codec](outer.bytes, limits, history), SNIFF_BYTES).catch(
        (error) => {
          // Only the codecs that the bytes do not name find out so late that it is not theirs.
          const isOther = error instanceof StageError && error.code === "not_this_container";
          throw isOther ? disagreement(outer.head, compression, archive, error) : error;
        },
      );
      try {
        assertContent(inner.head, archive, codec);
        yield* breathing(inner.bytes);
      } finally {
        await inner.close();
      }
    } finally {
      await history.hold(0);
      await outer.close();
    }
  };
}

/** Content between two turns of everything else that waits: timers, sockets, an abort. */
const BREATH_BYTES = 2 ** 20;

/** Some codecs compute on this thread, and a small file may give much: they must not keep others waiting. */
const breathing: Transform<Uint8Array, Uint8Array> = async function* (source) {
  let bytes = 0;
  for await (const chunk of source) {
    yield chunk;
    bytes += chunk.byteLength;
    if (bytes < BREATH_BYTES) continue;
    bytes = 0;
    await setImmediate();
  }
};

const withinMaxOutput = ({ maxOutputBytes }: Limits): Transform<Uint8Array, Uint8Array> =>
  maxBytes(
    maxOutputBytes,
    "maxOutputBytes",
    (message) => new StageError("decompress", "limit_exceeded", `The content has ${message}.`),
  );
