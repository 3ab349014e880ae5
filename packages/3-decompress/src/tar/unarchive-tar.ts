import { StageError } from "@sluice/errors";
import type { Entry } from "@sluice/schema";
import { type ByteReader, createByteReader, type Transform } from "@sluice/streams";
import { openEntry } from "../archive-entry.ts";
import { createArchiveNames, unsafeEntry } from "../archive-names.ts";
import { type ArchiveOptions, archiveLimits, overArchiveLimit } from "../archive-options.ts";
import { damageOf } from "../damage.ts";
import { BLOCK_BYTES, isZeroBlock } from "./header.ts";
import { readTarMember, type TarMember } from "./member.ts";

/** Kinds that name another file or no file at all. */
const UNSAFE_KINDS: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "2": "a symbolic link",
  "3": "a character device",
  "4": "a block device",
  "6": "a named pipe",
};

/**
 * Opens a tar archive as it streams, and gives its files in the archive's order: ustar (POSIX.1-1988), pax
 * (POSIX.1-2001), GNU with long names and large sizes, and old v7. Its input is already decompressed.
 *
 * An entry's bytes are read before the next entry is asked for, which passes over what is left of them.
 * Directories and the companion files of macOS (`__MACOSX/`, `.DS_Store`, `._*`) are passed over. Links,
 * devices and unsafe names are refused whether they are wanted or not. After the last entry the two end
 * blocks were seen, with nothing but zero bytes behind. tar has no checksum of data: what was altered in a
 * file's bytes cannot be noticed here.
 */
export function unarchiveTar(options: ArchiveOptions = {}): Transform<Uint8Array, Entry> {
  const limits = archiveLimits(options);
  return async function* (source) {
    const reader = createByteReader(source);
    const names = createArchiveNames("tar", options, limits);
    let output = 0;

    async function* content(member: TarMember, end: number): AsyncGenerator<Uint8Array> {
      while (reader.offset < end) {
        const chunk = await nextChunk(reader, end);
        output += chunk.byteLength;
        if (output > limits.maxOutputBytes) {
          const subject = "Its entries have more bytes than";
          throw overArchiveLimit("tar", member.offset, subject, "maxOutputBytes", limits);
        }
        yield chunk;
      }
    }

    try {
      for (;;) {
        const member = await readTarMember(reader, limits);
        if (member === undefined) break;
        names.count(member.offset);
        const end = reader.offset + member.size;
        if (isDirectory(member)) names.directory(member.name, member.offset);
        else {
          const { name, isWanted } = names.file(member.name, member.offset);
          if (isWanted) {
            const opened = openEntry(name, placed(name, content(member, end)));
            try {
              yield opened.entry;
            } finally {
              await opened.close();
            }
          }
        }
        while (reader.offset < end) await nextChunk(reader, end);
        await passPadding(reader, member.size);
      }
      await assertEnd(reader);
      names.assertAnyFile();
    } finally {
      await reader.close();
    }
  };
}

/** Fills the entry's name into the errors of reading it. */
async function* placed(name: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    throw error instanceof StageError && error.stage === "decompress"
      ? error.at({ entry: name })
      : error;
  }
}

function isDirectory({ type, name, size, offset }: TarMember): boolean {
  const unsafe = (message: string): StageError => unsafeEntry("tar", offset, message, name);
  const kind = UNSAFE_KINDS[type];
  if (kind !== undefined) throw unsafe(`An entry is ${kind}.`);
  // GNU's incremental archives list a directory's content as its data.
  if (type === "D") return true;
  if (type === "5" || (type === "\0" && name.endsWith("/"))) {
    // Some readers pass over such bytes as data, others read them as the next header.
    if (size > 0) throw unsafe("A directory says that it has data.");
    return true;
  }
  if (type === "0" || type === "\0" || type === "7") {
    if (name.endsWith("/")) throw unsafe("A file has the name of a directory.");
    return false;
  }
  throw damageOf("tar", () => offset).unsupported(
    "An entry is of a kind that is not opened.",
    `type flag ${JSON.stringify(type)}`,
    "files and directories",
  );
}

/** The next bytes, none of them beyond `end`. */
async function nextChunk(reader: ByteReader, end: number): Promise<Uint8Array> {
  const left = end - reader.offset;
  const chunk = await reader.chunk();
  if (chunk === undefined) {
    throw damageOf("tar", () => reader.offset).truncated("inside an entry's data");
  }
  if (chunk.byteLength <= left) return chunk;
  reader.putBack(chunk.subarray(left));
  return chunk.subarray(0, left);
}

async function passPadding(reader: ByteReader, size: number): Promise<void> {
  const padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
  const bytes = await reader.take(padding);
  if (bytes.byteLength < padding) {
    throw damageOf("tar", () => reader.offset).truncated("inside an entry's padding");
  }
}

/** Reads the second end block and what is behind it; writers fill up to whole records with zero bytes. */
async function assertEnd(reader: ByteReader): Promise<void> {
  const damage = damageOf("tar", () => reader.offset);
  const second = await reader.take(BLOCK_BYTES);
  if (second.byteLength < BLOCK_BYTES) throw damage.truncated("before its second end block");
  if (!isZeroBlock(second)) throw damage.corrupt("A lone block of zero bytes stands in it.");
  for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) {
    if (!isZeroBlock(chunk)) throw damage.corrupt("Bytes follow the archive's end.");
  }
}
