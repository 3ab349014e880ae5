import { createInflate } from "node:zlib";
import { StageError } from "@sluice/errors";
import { createByteReader } from "@sluice/streams";
import { damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { assertNothingFollows, takeWhole } from "./next-frame.ts";
import { driveEngine, isEarlyEnd, OUTPUT_CHUNK_BYTES, runToEnd } from "./zlib-engine.ts";

const PRESET_DICTIONARY = 0x20;

/**
 * Opens zlib's format (RFC 1950): one stream, its Adler-32 checked, then zero bytes at most. Bytes
 * without its header are `not_this_container`: nothing else tells them from another file.
 */
export async function* inflateZlib(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("deflate", () => reader.offset);
  const meter = createMeter("deflate", limits, "maxRatio");
  const engine = driveEngine(createInflate({ chunkSize: OUTPUT_CHUNK_BYTES }), (cause) => {
    if (isEarlyEnd(cause)) return damage.truncated("inside its data");
    return cause.message === "incorrect data check"
      ? damage.mismatch("The content does not match its Adler-32.")
      : damage.corrupt("The deflate container's data is damaged.", cause);
  });
  try {
    const first = await reader.take(1);
    if (first[0] === undefined) throw notZlib();
    // Method 8 with a window of 32 KiB at most; then both bytes are a multiple of 31 (RFC 1950, 2.2).
    if ((first[0] & 0x0f) !== 8 || first[0] >> 4 > 7) throw notZlib();
    const second = await takeWhole(reader, 1, damage, "inside its header");
    const header = Buffer.concat([first, second]);
    if (header.readUInt16BE(0) % 31 !== 0) throw notZlib();
    if ((header.readUInt8(1) & PRESET_DICTIONARY) !== 0) {
      throw damage.unsupported(
        "The content needs a dictionary that is not in the file.",
        "a preset dictionary",
        "no dictionary",
      );
    }
    reader.putBack(header);
    for await (const output of runToEnd(reader, engine)) {
      meter.count(output.byteLength, engine.used);
      yield output;
    }
    await assertNothingFollows(reader, damage);
  } finally {
    engine.close();
    await reader.close();
  }
}

const notZlib = (): StageError =>
  new StageError("decompress", "not_this_container", "The bytes have no zlib header.");
