import { StageError } from "@sluice/errors";
import { unsafeEntry } from "../archive-names.ts";
import { damageOf } from "../damage.ts";
import type { ZipRecord } from "./directory-record.ts";

const UNIX = 3;
const MACOS = 19;

/** The file type in a Unix mode. */
const TYPE_BITS = 0xf000;
const DIRECTORY_TYPE = 0x4000;
/** Unknown; a regular file; a pipe and a socket, as Info-ZIP marks what it read from its input. */
const FILE_TYPES = [0, 0x8000, 0x1000, 0xc000];
const UNSAFE_TYPES: ReadonlyMap<number, string> = new Map([
  [0x2000, "a character device"],
  [0x6000, "a block device"],
  [0xa000, "a symbolic link"],
]);

/** Whether the entry is a directory; throws `unsafe_entry` when it is neither that nor a file. */
export function isZipDirectory(record: ZipRecord, name: string): boolean {
  const unsafe = (message: string): Error => unsafeEntry("zip", record.offset, message, name);
  const isNamedDirectory = name.endsWith("/");
  const isUnix = record.host === UNIX || record.host === MACOS;
  const type = isUnix ? (record.externalAttributes >>> 16) & TYPE_BITS : 0;
  if (type !== DIRECTORY_TYPE && !FILE_TYPES.includes(type)) {
    throw unsafe(`An entry is ${UNSAFE_TYPES.get(type) ?? "of an unknown kind"}.`);
  }
  if (type !== 0 && (type === DIRECTORY_TYPE) !== isNamedDirectory) {
    throw unsafe("An entry is a file by its name and a directory by its mode, or the other way.");
  }
  if (isNamedDirectory && record.size > 0) throw unsafe("A directory has data.");
  return isNamedDirectory;
}

export const STORED = 0;
const DEFLATED = 8;

/** APPNOTE.TXT 4.4.5. */
const METHODS: Readonly<Record<number, string>> = {
  1: "shrink",
  2: "reduce",
  3: "reduce",
  4: "reduce",
  5: "reduce",
  6: "implode",
  9: "Deflate64",
  10: "PKWARE DCL implode",
  12: "bzip2",
  14: "LZMA",
  18: "IBM TERSE",
  19: "IBM LZ77",
  20: "zstd",
  93: "zstd",
  94: "MP3",
  95: "xz",
  96: "JPEG",
  97: "WavPack",
  98: "PPMd",
  99: "AES",
};

/** Throws `entry_encrypted` or `unsupported_method` for a wanted entry that cannot be opened. */
export function assertReadable(record: ZipRecord, name: string): void {
  const encryption = encryptionOf(record);
  if (encryption !== undefined) {
    throw new StageError(
      "decompress",
      "entry_encrypted",
      `An entry is encrypted (${encryption}).`,
      {
        layers: [{ kind: "zip", offset: record.offset }],
        entry: name,
        seen: encryption,
        expected: "a zip without a password",
      },
    );
  }
  const expected = "stored or deflate";
  const damage = damageOf("zip", () => record.offset);
  if ((record.flags & PATCH_FLAG) !== 0) {
    const message = "An entry is a patch, not a file.";
    throw damage.unsupported(message, "patched data", expected).at({ entry: name });
  }
  if (record.method !== STORED && record.method !== DEFLATED) {
    const method = METHODS[record.method];
    const seen = `method ${record.method}${method === undefined ? "" : ` (${method})`}`;
    const message = `An entry is compressed with ${method ?? "a method"} that is not opened.`;
    throw damage
      .unsupported(
        method === undefined ? message : `An entry is compressed with ${method}.`,
        seen,
        expected,
      )
      .at({ entry: name });
  }
}

const ENCRYPTED_FLAG = 0x0001;
const PATCH_FLAG = 0x0020;
const STRONG_FLAG = 0x0040;
const MASKED_FLAG = 0x2000;

/** How an entry is encrypted; undefined when it is not. */
function encryptionOf({ flags, method, isAes }: ZipRecord): string | undefined {
  if ((flags & MASKED_FLAG) !== 0) return "with its name, PKWARE strong encryption";
  if ((flags & STRONG_FLAG) !== 0) return "PKWARE strong encryption";
  if (method === 99 || (isAes && (flags & ENCRYPTED_FLAG) !== 0)) return "WinZip AES";
  return (flags & ENCRYPTED_FLAG) !== 0 ? "ZipCrypto" : undefined;
}
