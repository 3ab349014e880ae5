import { StageError } from "@sluice/errors";
import type { Compression, Entry } from "@sluice/schema";
import { maxBytes, type Peeked, peek, type Transform } from "@sluice/streams";
import { gunzip } from "./gzip.ts";
import type { OutputLimits } from "./limits.ts";
import { containerOf, describeBytes, SNIFF_BYTES } from "./sniff.ts";

export interface DecompressOptions {
  /** `auto` opens gzip and passes plain bytes on; the others must be what the bytes are. */
  readonly compression: Compression;
  /** Bytes that may come out of one object. Default 1 TiB; more is `limit_exceeded`. */
  readonly maxOutputBytes?: number;
  /**
   * Output bytes per input byte, once more than `ratioFromBytes` came out. Default 1,100: deflate
   * itself cannot pass 1,032 to 1, so that no honest file is refused.
   */
  readonly maxRatio?: number;
  /** Default 1 GiB. */
  readonly ratioFromBytes?: number;
}

/**
 * Opens the container around one object and gives its entries; an object that is no archive has
 * exactly one, under an empty name. What to open is told from the bytes, never from a name, and
 * only once: gzip inside gzip stays gzip.
 *
 * An entry's bytes are read before the next entry is asked for. Fails with the codes of the
 * decompress stage; the source's own errors pass through as they are.
 */
export function decompress(options: DecompressOptions): Transform<Uint8Array, Entry> {
  const limits: OutputLimits = {
    maxOutputBytes: options.maxOutputBytes ?? 2 ** 40,
    maxRatio: options.maxRatio ?? 1100,
    ratioFromBytes: options.ratioFromBytes ?? 2 ** 30,
  };
  return async function* (source) {
    const peeked = await peek(source, SNIFF_BYTES);
    let open = true;
    const assertOpen = (): void => {
      if (!open)
        throw new TypeError("an entry's bytes are read before the next entry is asked for");
    };
    async function* whileOpen(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      assertOpen();
      for await (const chunk of bytes) {
        assertOpen();
        yield chunk;
      }
    }
    try {
      const bytes = opened(peeked, options.compression, limits);
      yield { name: "", bytes: whileOpen(bytes) };
    } finally {
      open = false;
      await peeked.close();
    }
  };
}

function opened(
  { head, bytes }: Peeked,
  compression: Compression,
  limits: OutputLimits,
): AsyncIterable<Uint8Array> {
  const container = containerOf(head);
  if (container === "gzip" && compression !== "none") return gunzip(bytes, limits);
  if (compression === "gzip") {
    throw new StageError(
      "decompress",
      "not_this_container",
      `The compression is set to gzip; the bytes are ${describeBytes(head)}.`,
      { seen: describeBytes(head), expected: "gzip" },
    );
  }
  if (container !== undefined && compression === "auto") {
    throw new StageError(
      "decompress",
      "unsupported_method",
      `The bytes are ${container}, which is not opened.`,
      { seen: container, expected: "gzip or a plain file" },
    );
  }
  if (container !== undefined) {
    const remedy = container === "gzip" ? " Set it to gzip or auto." : "";
    throw new StageError(
      "decompress",
      "not_this_container",
      `The compression is set to none; the bytes are ${container}.${remedy}`,
      { seen: container, expected: "a plain file" },
    );
  }
  return maxBytes(
    limits.maxOutputBytes,
    "maxOutputBytes",
    (message) => new StageError("decompress", "limit_exceeded", `The content has ${message}.`),
  )(bytes);
}
