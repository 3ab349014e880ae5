import type { S3Source } from "@sluice/fetch";
import type { ManifestObject } from "@sluice/schema";
import type { LoadContext } from "./pipeline.ts";

/** Small objects that are read at one time: a request takes longer than what it brings. */
const OBJECTS_AT_ONCE = 8;

/** The bytes of one object. */
interface ReadObject {
  /** Which one, from 0. */
  readonly at: number;
  /** Rejects with why it could not be read. */
  readonly bytes: Promise<Uint8Array>;
}

/**
 * Reads small objects whole, some at one time, and gives them in their order. What is read is held until the next one
 * is asked for.
 */
export async function* readAhead(
  source: S3Source,
  objects: readonly ManifestObject[],
  { memory, signal }: Pick<LoadContext, "memory" | "signal">,
): AsyncGenerator<ReadObject> {
  const held = memory.part((seen) => new Error(seen));
  const reading: ReadObject[] = [];
  let heldBytes = 0;
  let next = 0;
  const begin = async (): Promise<void> => {
    const object = objects[next];
    if (object === undefined) return;
    heldBytes += object.size;
    await held.hold(heldBytes);
    const bytes = readWhole(source, object, signal);
    // Whoever takes it hears of it; a failure of one that nobody takes any more is of no interest.
    bytes.catch(() => undefined);
    reading.push({ at: next++, bytes });
  };
  try {
    while (next < Math.min(OBJECTS_AT_ONCE, objects.length)) await begin();
    for (let each = reading.shift(); each !== undefined; each = reading.shift()) {
      yield each;
      heldBytes -= objects[each.at]?.size ?? 0;
      await begin();
    }
  } finally {
    await held.hold(0);
  }
}

async function readWhole(
  source: S3Source,
  object: ManifestObject,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(source.read(object, { signal }));
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}
