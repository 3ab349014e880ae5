import { crc32, createInflateRaw } from "node:zlib";
import { createByteReader } from "@sluice/streams";
import { type ArchiveLimits, overArchiveLimit } from "../archive-options.ts";
import { type Damage, damageOf } from "../damage.ts";
import { driveEngine, isEarlyEnd, OUTPUT_CHUNK_BYTES, runToEnd } from "../zlib-engine.ts";
import type { ZipRecord } from "./directory-record.ts";
import { STORED } from "./entry-kind.ts";
import type { RangeCursor } from "./range-cursor.ts";

/** What all entries of one zip have used and given so far. */
export interface ZipMeter {
  count(input: number, output: number, offset: number): void;
}

/** Creates the meter of one zip. */
export function createZipMeter(limits: ArchiveLimits): ZipMeter {
  let input = 0;
  let output = 0;
  return {
    count(moreInput, moreOutput, offset) {
      input += moreInput;
      output += moreOutput;
      if (output > limits.maxOutputBytes) {
        const subject = "Its entries have more bytes than";
        throw overArchiveLimit("zip", offset, subject, "maxOutputBytes", limits);
      }
      if (output > limits.ratioFromBytes && output > input * limits.maxRatio) {
        const subject = "Its entries are larger than their compressed bytes by more than";
        throw overArchiveLimit("zip", offset, subject, "maxRatio", limits);
      }
    },
  };
}

/**
 * Gives an entry's bytes. At their end both sizes were counted, the deflate stream ended at the data's last
 * byte, and the CRC-32 was computed: each is what the directory says, or it throws.
 */
export async function* readEntryContent(
  cursor: RangeCursor,
  record: ZipRecord,
  dataStart: number,
  meter: ZipMeter,
): AsyncGenerator<Uint8Array> {
  let position = dataStart;
  const dataEnd = dataStart + record.compressedSize;
  const damage = damageOf("zip", () => position);
  async function* data(): AsyncGenerator<Uint8Array> {
    while (position < dataEnd) {
      const chunk = await cursor.read(position, dataEnd);
      position += chunk.byteLength;
      meter.count(chunk.byteLength, 0, position);
      yield chunk;
    }
  }
  let size = 0;
  let crc = 0;
  const output = record.method === STORED ? data() : inflated(data(), damage);
  for await (const chunk of output) {
    size += chunk.byteLength;
    if (size > record.size) {
      throw damage.corrupt(`An entry has more bytes than the ${record.size} that it says.`);
    }
    meter.count(0, chunk.byteLength, position);
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (size < record.size) {
    throw damage.corrupt(`An entry has ${size} bytes, not the ${record.size} that it says.`);
  }
  if (crc !== record.crc) {
    throw damage.mismatch("The content of an entry does not match its CRC-32.");
  }
}

async function* inflated(
  source: AsyncIterable<Uint8Array>,
  damage: Damage,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const engine = driveEngine(createInflateRaw({ chunkSize: OUTPUT_CHUNK_BYTES }), (cause) =>
    isEarlyEnd(cause)
      ? damage.corrupt("An entry's compressed data ends before its deflate stream does.", cause)
      : damage.corrupt("An entry's compressed data is damaged.", cause),
  );
  try {
    yield* runToEnd(reader, engine);
    if ((await reader.take(1)).byteLength > 0) {
      throw damage.corrupt("An entry's compressed data goes on behind its deflate stream.");
    }
  } finally {
    engine.close();
    await reader.close();
  }
}
