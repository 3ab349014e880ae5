import { crc32 } from "node:zlib";
import type { ByteReader } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { takeWhole } from "./next-frame.ts";

const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;

/** RFC 1952 bounds neither name nor comment; nobody writes longer ones. */
const MAX_TEXT_BYTES = 64 * 1024;

/** Reads one member's header, up to its deflate data; names and comments in it are ignored (RFC 1952, 2.3). */
export async function readGzipHeader(reader: ByteReader, damage: Damage): Promise<void> {
  let crc = 0;
  const take = async (length: number): Promise<Buffer> => {
    const bytes = await takeWhole(reader, length, damage, "inside a member's header");
    crc = crc32(bytes, crc);
    return bytes;
  };
  const skipText = async (): Promise<void> => {
    for (let length = 0; (await take(1))[0] !== 0; length++) {
      if (length > MAX_TEXT_BYTES) {
        throw damage.corrupt("A gzip member's header has a text without end.");
      }
    }
  };

  const [id1, id2] = await take(2);
  if (id1 !== 0x1f || id2 !== 0x8b) {
    throw damage.corrupt("Bytes that are no gzip member follow a complete member.");
  }
  const [method, flags = 0] = await take(8);
  if (method !== 8) {
    throw damage.unsupported(
      "A gzip member is not compressed with deflate.",
      `method ${method}`,
      "method 8 (deflate)",
    );
  }
  if ((flags & RESERVED) !== 0) throw damage.corrupt("A gzip member's header has reserved flags.");
  if ((flags & FEXTRA) !== 0) await take((await take(2)).readUInt16LE(0));
  if ((flags & FNAME) !== 0) await skipText();
  if ((flags & FCOMMENT) !== 0) await skipText();
  if ((flags & FHCRC) !== 0) {
    const wanted = crc & 0xffff;
    if ((await take(2)).readUInt16LE(0) !== wanted) {
      throw damage.mismatch("A gzip member's header does not match its checksum.");
    }
  }
}
