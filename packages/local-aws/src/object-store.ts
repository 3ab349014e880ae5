import { createHash, randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Checksum } from "./checksums.ts";
import { createKeyIndex, type KeyIndex } from "./key-index.ts";
import { removeFile, writeJson } from "./small-file.ts";

/** A run of an object's bytes in a data file of its own. */
export interface Segment {
  readonly file: string;
  readonly size: number;
}

/** One version of an object. An object of N parts has N segments: completing a multipart upload moves no byte. */
export interface StoredObject {
  readonly key: string;
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  readonly lastModified: string;
  /** content-type, cache-control, x-amz-meta-* ... as the client sent them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum?: Checksum;
  readonly isMultipart: boolean;
  readonly segments: readonly Segment[];
}

/** Holds a version's bytes on disk while somebody reads them, whatever happens to its key. */
export interface ObjectLease {
  readonly object: StoredObject;
  path(segment: Segment): string;
  [Symbol.dispose](): void;
}

export interface BucketStore {
  readonly index: KeyIndex<StoredObject>;
  readonly directory: string;
  /** Writes bytes to a data file nobody refers to yet. */
  write(chunks: AsyncIterable<Uint8Array>): Promise<Segment>;
  /** Makes a version current, at once and for good; the one before it goes when its last reader has left. */
  commit(object: StoredObject): void;
  remove(key: string): void;
  lease(object: StoredObject): ObjectLease;
  /** Another name for bytes on disk, of this bucket or of another one. */
  link(segment: Segment, from?: BucketStore): Segment;
  discard(segments: readonly Segment[]): void;
}

const WRITE_BYTES = 1024 ** 2;

/**
 * Opens a bucket's directory: `objects/<sha256 of the key>.json` says what an object is and which files under `data/`
 * hold its bytes, so a key may be any 1,024 bytes and replacing an object is one rename.
 * @param kept data files in use by something else than an object (unfinished uploads)
 */
export function openBucketStore(
  directory: string,
  kept: ReadonlySet<string> = new Set(),
): BucketStore {
  mkdirSync(join(directory, "objects"), { recursive: true });
  mkdirSync(join(directory, "data"), { recursive: true });
  const index = createKeyIndex<StoredObject>();
  const readers = new Map<StoredObject, number>();
  const replaced = new Set<StoredObject>();
  const dataPath = (file: string): string => join(directory, "data", file);
  const metaPath = (key: string): string =>
    join(directory, "objects", `${createHash("sha256").update(key).digest("hex")}.json`);

  for (const name of readdirSync(join(directory, "objects"))) {
    if (!name.endsWith(".json")) continue;
    const object = JSON.parse(readFileSync(join(directory, "objects", name), "utf8"));
    index.set(object.key, object);
  }
  removeOrphans(join(directory, "data"), index, kept);

  const discard = (segments: readonly Segment[]): void => {
    for (const segment of segments) removeFile(dataPath(segment.file));
  };
  const release = (object: StoredObject | undefined): void => {
    if (object === undefined) return;
    if (readers.has(object)) replaced.add(object);
    else discard(object.segments);
  };

  return {
    index,
    directory,
    discard,
    write: async (chunks) => {
      const file = randomUUID();
      try {
        return { file, size: await writeChunks(dataPath(file), chunks) };
      } catch (error) {
        removeFile(dataPath(file));
        throw error;
      }
    },
    // Synchronous, so that two writers of a key cannot leave the disk and the index with different winners.
    commit: (object) => {
      writeJson(metaPath(object.key), object);
      const before = index.get(object.key);
      index.set(object.key, object);
      release(before);
    },
    remove: (key) => {
      const before = index.get(key);
      if (before === undefined) return;
      rmSync(metaPath(key), { force: true });
      index.delete(key);
      release(before);
    },
    lease: (object) => {
      readers.set(object, (readers.get(object) ?? 0) + 1);
      return {
        object,
        path: (segment) => dataPath(segment.file),
        [Symbol.dispose]: () => {
          const left = (readers.get(object) ?? 1) - 1;
          if (left > 0) {
            readers.set(object, left);
            return;
          }
          readers.delete(object);
          if (replaced.delete(object)) discard(object.segments);
        },
      };
    },
    link: (segment, from) => {
      const file = randomUUID();
      linkSync(join(from?.directory ?? directory, "data", segment.file), dataPath(file));
      return { file, size: segment.size };
    },
  };
}

async function writeChunks(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const handle = await open(path, "wx");
  let size = 0;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of chunks) {
      waiting.push(chunk);
      waitingBytes += chunk.length;
      size += chunk.length;
      if (waitingBytes < WRITE_BYTES) continue;
      await writing;
      writing = writeAll(handle, waiting);
      // Awaited one round later; without this a failure in between would count as unhandled.
      writing.catch(() => undefined);
      waiting = [];
      waitingBytes = 0;
    }
    await writing;
    await writeAll(handle, waiting);
    return size;
  } finally {
    await writing.catch(() => undefined);
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (total === 0) return;
  const { bytesWritten } = await handle.writev(chunks);
  if (bytesWritten === total) return;
  await handle.writeFile(Buffer.concat(chunks).subarray(bytesWritten));
}

function removeOrphans(
  directory: string,
  index: KeyIndex<StoredObject>,
  kept: ReadonlySet<string>,
): void {
  const used = new Set<string>();
  for (const object of index.values()) for (const { file } of object.segments) used.add(file);
  for (const file of readdirSync(directory)) {
    if (!used.has(file) && !kept.has(file)) removeFile(join(directory, file));
  }
}
