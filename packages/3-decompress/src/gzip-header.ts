import { crc32 } from "node:zlib";
import { StageError } from "@sluice/errors";
import type { ByteReader } from "@sluice/streams";

const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;

/** RFC 1952 bounds neither name nor comment; nobody writes longer ones. */
const MAX_TEXT_BYTES = 64 * 1024;

/** Throws that the container ends before its end. */
export function throwTruncated(reader: ByteReader, where: string): never {
  throw new StageError("decompress", "truncated", `The gzip container ends ${where}.`, {
    layers: [{ kind: "gzip", offset: reader.offset }],
  });
}

/** Reads one member's header, up to its deflate data; names and comments in it are ignored (RFC 1952, 2.3). */
export async function readGzipHeader(reader: ByteReader): Promise<void> {
  const start = reader.offset;
  let crc = 0;
  const take = async (length: number): Promise<Uint8Array> => {
    const bytes = await reader.take(length);
    if (bytes.byteLength < length) throwTruncated(reader, "inside a member's header");
    crc = crc32(bytes, crc);
    return bytes;
  };
  const corrupt = (message: string): StageError =>
    new StageError("decompress", "corrupt", message, { layers: [{ kind: "gzip", offset: start }] });
  const skipText = async (): Promise<void> => {
    for (let length = 0; (await take(1))[0] !== 0; length++) {
      if (length > MAX_TEXT_BYTES) throw corrupt("A gzip member's header has a text without end.");
    }
  };

  const [id1, id2, method, flags = 0] = await take(10);
  if (id1 !== 0x1f || id2 !== 0x8b) {
    throw corrupt("Bytes that are no gzip member follow a complete member.");
  }
  if (method !== 8) {
    throw new StageError(
      "decompress",
      "unsupported_method",
      "A gzip member is not compressed with deflate.",
      {
        layers: [{ kind: "gzip", offset: start }],
        seen: `method ${method}`,
        expected: "method 8 (deflate)",
      },
    );
  }
  if ((flags & RESERVED) !== 0) throw corrupt("A gzip member's header has reserved flags.");
  if ((flags & FEXTRA) !== 0) {
    const [low = 0, high = 0] = await take(2);
    await take(low + high * 256);
  }
  if ((flags & FNAME) !== 0) await skipText();
  if ((flags & FCOMMENT) !== 0) await skipText();
  if ((flags & FHCRC) !== 0) {
    const wanted = crc & 0xffff;
    const [low = 0, high = 0] = await take(2);
    if (low + high * 256 !== wanted) {
      throw new StageError(
        "decompress",
        "checksum_mismatch",
        "A gzip member's header does not match its checksum.",
        { layers: [{ kind: "gzip", offset: start }] },
      );
    }
  }
}
