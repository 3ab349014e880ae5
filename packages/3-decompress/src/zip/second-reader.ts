import StreamZip from "node-stream-zip";
import { damageOf } from "../damage.ts";
import type { ZipRecord } from "./directory-record.ts";
import type { Stretch } from "./zip-file.ts";

type ReadCallback = (error: Error | null, bytesRead: number, buffer: Buffer) => void;

/** What node-stream-zip takes for an open file: the last bytes of a zip, in memory. */
interface TailFile {
  readonly tail: Stretch;
  readonly fail: (error: unknown) => void;
}

/** By descriptors below zero, which no open file has. */
const tailFiles = new Map<number, TailFile>();
let lastDescriptor = 0;

/**
 * node-stream-zip reads by the `fs` that it is given. This one serves the tails, so that the same code reads
 * a spooled zip and one in S3, and whatever its callbacks throw ends the reading and not the process. It is set
 * for the module as a whole: nothing else here may open zips with it.
 */
const tailFs = {
  fstat(fd: number, callback: (error: Error | null, stats?: { size: number }) => void): void {
    const file = tailFiles.get(fd);
    if (file === undefined) return;
    answer(file, () => callback(null, { size: file.tail.start + file.tail.bytes.byteLength }));
  },
  read(
    fd: number,
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: ReadCallback,
  ): void {
    const file = tailFiles.get(fd);
    if (file === undefined) return;
    const { tail } = file;
    const at = position - tail.start;
    if (at < 0) {
      file.fail(new RangeError("it reads bytes that are no part of the directory"));
      return;
    }
    const bytesRead = tail.bytes.copy(buffer, offset, at, at + length);
    answer(file, () => callback(null, bytesRead, buffer));
  },
  close(fd: number, callback: (error: Error | null) => void): void {
    tailFiles.delete(fd);
    callback(null);
  },
};
(StreamZip as unknown as { setFs(customFs: typeof tailFs): void }).setFs(tailFs);

/** Answers later, as a file would: a large directory would otherwise recurse once for each window. */
function answer(file: TailFile, callback: () => void): void {
  queueMicrotask(() => {
    try {
      callback();
    } catch (error) {
      file.fail(error);
    }
  });
}

const WINDOW_BYTES = 128 * 1024;

/**
 * Reads the same directory once more with node-stream-zip, from its own search for the end record on, and
 * throws `corrupt` unless it sees the same entries: no zip is loaded of which two readers see two contents.
 *
 * `tail` ends with the end record, without its comment: behind long comments node-stream-zip 1.16.0 does not find
 * what is there. The comment's length was compared with the file's end before.
 */
export async function assertSecondReading(
  tail: Stretch,
  records: readonly ZipRecord[],
): Promise<void> {
  const damage = damageOf("zip", () => tail.start);
  const disagree = (cause?: unknown): Error =>
    damage.corrupt("Two readers of its central directory see two contents.", cause);
  const descriptor = --lastDescriptor;
  let seen = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      tailFiles.set(descriptor, { tail, fail: reject });
      const zip = new StreamZip({
        fd: descriptor,
        storeEntries: false,
        skipEntryNameValidation: true,
        chunkSize: WINDOW_BYTES,
        // Gives every byte a character of its own.
        nameEncoding: "latin1",
      });
      zip.on("entry", (entry) => {
        const record = records[seen++];
        if (record === undefined || !isSame(entry as SecondEntry, record)) throw disagree();
      });
      zip.on("error", reject);
      zip.on("ready", resolve);
    });
  } catch (error) {
    throw disagree(error);
  } finally {
    tailFiles.delete(descriptor);
  }
  if (seen !== records.length) throw disagree();
}

/** What node-stream-zip says of an entry; its typings leave some of it out. */
interface SecondEntry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly offset: number;
}

const latin1 = new TextDecoder("latin1");

const isSame = (entry: SecondEntry, record: ZipRecord): boolean =>
  entry.name === latin1.decode(record.rawName) &&
  entry.flags === record.flags &&
  entry.method === record.method &&
  entry.crc === record.crc &&
  entry.compressedSize === record.compressedSize &&
  entry.size === record.size &&
  entry.offset === record.localOffset;
