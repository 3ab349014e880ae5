import { StageError } from "@sluice/errors";
import { headObject } from "./head.ts";
import type { Store } from "./store.ts";

interface Pinnable {
  readonly key: string;
  readonly etag: string;
  readonly size: number;
}

interface Pin {
  readonly etag: string;
  readonly size: number;
  readonly versionId?: string;
}

/** HEAD requests on their way at one time. */
const MAX_CONCURRENT = 16;

/**
 * Adds the version id to each object of a versioned bucket: such an object can be read to its end
 * even after it was replaced. A listing does not tell version ids, so each object needs a HEAD;
 * the first one shows whether the bucket has versions at all and whether our role may read them
 * (`s3:GetObjectVersion`). If not, the ETag alone pins the object.
 */
export async function pinVersions(
  store: Store,
  objects: readonly Pinnable[],
  signal: AbortSignal | undefined,
): Promise<readonly Pin[]> {
  const pins: Pin[] = objects.map(({ etag, size }) => ({ etag, size }));
  const [first] = objects;
  if (first === undefined || !(await isVersionReadable(store, first.key, signal))) return pins;
  const abortable = signal === undefined ? {} : { signal };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < objects.length; index = next++) {
      const object = objects[index];
      if (object === undefined) return;
      const { etag, size, versionId } = await headObject(store, object.key, abortable);
      pins[index] = { etag, size, ...(versionId === undefined ? {} : { versionId }) };
    }
  };
  await Promise.all(Array.from({ length: MAX_CONCURRENT }, worker));
  return pins;
}

async function isVersionReadable(
  store: Store,
  key: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const abortable = signal === undefined ? {} : { signal };
  try {
    const { versionId } = await headObject(store, key, abortable);
    if (versionId === undefined) return false;
    await headObject(store, key, { ...abortable, versionId });
    return true;
  } catch (error) {
    // Replaced or forbidden: the read itself will say so, in its own words.
    const isHarmless =
      error instanceof StageError &&
      (error.code === "access_denied" ||
        error.code === "file_not_found" ||
        error.code === "object_deleted" ||
        error.code === "object_archived");
    if (!isHarmless) throw error;
    return false;
  }
}
