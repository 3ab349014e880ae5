import type { ByteReader } from "@sluice/streams";
import type { Damage } from "./damage.ts";

/**
 * What follows a complete member or frame: true for a byte that may begin another one, false for the end,
 * with zero bytes before it at most. Anything else is refused, and anything after zero bytes: another
 * tool would stop there and give less.
 */
export async function hasNextFrame(
  reader: ByteReader,
  damage: Damage,
  mayBegin: (byte: number) => boolean,
): Promise<boolean> {
  let isPadded = false;
  for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) {
    const at = chunk.findIndex((byte) => byte !== 0);
    if (at !== 0) isPadded = true;
    if (at === -1) continue;
    reader.putBack(chunk.subarray(at));
    if (isPadded) throw damage.corrupt("Bytes follow the zero padding after its end.");
    if (!mayBegin(chunk[at] ?? 0)) throw damage.corrupt("Bytes of another kind follow its end.");
    return true;
  }
  return false;
}

/** Throws when more than zero bytes follow the end of a format that has one stream only. */
export async function assertNothingFollows(reader: ByteReader, damage: Damage): Promise<void> {
  await hasNextFrame(reader, damage, () => false);
}

/** `length` bytes, or the error that the container ends too early. */
export async function takeWhole(
  reader: ByteReader,
  length: number,
  damage: Damage,
  where: string,
): Promise<Buffer> {
  const bytes = await reader.take(length);
  if (bytes.byteLength < length) throw damage.truncated(where);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Passes over `length` bytes, however many, without keeping them. */
export async function skipBytes(
  reader: ByteReader,
  length: number,
  damage: Damage,
  where: string,
): Promise<void> {
  for (let left = length; left > 0; ) {
    const chunk = await reader.chunk();
    if (chunk === undefined) throw damage.truncated(where);
    if (chunk.byteLength > left) reader.putBack(chunk.subarray(left));
    left -= Math.min(left, chunk.byteLength);
  }
}
