import { crc32 } from "node:zlib";
import { StageError } from "@sluice/errors";
import { createByteReader } from "@sluice/streams";
import { readGzipHeader, throwTruncated } from "./gzip-header.ts";
import { inflate } from "./inflate.ts";
import { assertWithinLimits, type Limits } from "./limits.ts";

/**
 * Opens gzip (RFC 1952): all members, one after the other, then zero bytes at most. Node's own Gunzip
 * is not used for it: it ends without an error at whatever follows zero padding, and also where the
 * bytes after a member come in a chunk of their own.
 */
export async function* gunzip(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  let total = 0;
  try {
    do {
      await readGzipHeader(reader);
      const dataStart = reader.offset;
      let crc = 0;
      let size = 0;
      const truncated = (): never => throwTruncated(reader, "inside a member's data");
      for await (const output of inflate(reader, "gzip", truncated)) {
        crc = crc32(output, crc);
        size += output.byteLength;
        total += output.byteLength;
        assertWithinLimits(limits, "gzip", reader.offset, total);
        yield output;
      }
      const trailer = await reader.take(8);
      if (trailer.byteLength < 8) throwTruncated(reader, "inside a member's trailer");
      const view = new DataView(trailer.buffer, trailer.byteOffset, 8);
      if (view.getUint32(0, true) !== crc || view.getUint32(4, true) !== size % 2 ** 32) {
        throw new StageError(
          "decompress",
          "checksum_mismatch",
          "The content of a gzip member does not match its CRC-32 and length.",
          { layers: [{ kind: "gzip", offset: dataStart }] },
        );
      }
    } while (await anotherMember());
  } finally {
    await reader.close();
  }

  async function anotherMember(): Promise<boolean> {
    let padded = false;
    for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) {
      const at = chunk.findIndex((byte) => byte !== 0);
      if (at !== 0) padded = true;
      if (at === -1) continue;
      const start = reader.offset - chunk.byteLength + at;
      if (padded || chunk[at] !== 0x1f) {
        throw new StageError(
          "decompress",
          "corrupt",
          "Bytes that are no gzip member follow the last member.",
          { layers: [{ kind: "gzip", offset: start }] },
        );
      }
      reader.putBack(chunk);
      return true;
    }
    return false;
  }
}
