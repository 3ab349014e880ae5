import { createByteReader } from "@sluice/streams";
import { createBzip2Reader } from "@sluice/streams/bzip2";
import { damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { hasNextFrame } from "./next-frame.ts";

/** Opens bzip2: all streams, one after the other, then zero bytes at most. */
export async function* bunzip2(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("bzip2", () => bzip2.used);
  const bzip2 = createBzip2Reader(reader, damage);
  const meter = createMeter("bzip2", limits);
  try {
    do {
      for await (const output of bzip2.stream()) {
        meter.count(output.byteLength, bzip2.used);
        yield output;
      }
      meter.endFrame(reader.offset);
    } while (await hasNextFrame(reader, damage, (byte) => byte === 0x42));
  } finally {
    await reader.close();
  }
}
