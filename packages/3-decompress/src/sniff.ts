import { isSkippableMagic } from "./skippable-frame.ts";

/** A container that is recognised by its first bytes, whether it is opened here or not. */
export type Container =
  | "gzip"
  | "zip"
  | "tar"
  | "zstd"
  | "bzip2"
  | "xz"
  | "lz4"
  | "lz4 legacy"
  | "7z"
  | "rar"
  | "compress"
  | "snappy";

/** As many bytes as the longest of the magic numbers needs: tar's stands at 257. */
export const SNIFF_BYTES = 512;

interface Magic {
  readonly container: Container;
  readonly at: number;
  readonly bytes: readonly number[];
}

const ascii = (text: string): number[] => [...Buffer.from(text, "latin1")];

const MAGIC: readonly Magic[] = [
  { container: "gzip", at: 0, bytes: [0x1f, 0x8b] },
  { container: "zip", at: 0, bytes: [...ascii("PK"), 3, 4] },
  // An archive without entries, and one that is split over several files.
  { container: "zip", at: 0, bytes: [...ascii("PK"), 5, 6] },
  { container: "zip", at: 0, bytes: [...ascii("PK"), 7, 8] },
  { container: "tar", at: 257, bytes: ascii("ustar") },
  { container: "zstd", at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  // "BZh1" could begin a text, so the first block's (or the empty stream's) magic belongs to it.
  { container: "bzip2", at: 4, bytes: [0x31, 0x41, 0x59, 0x26, 0x53, 0x59] },
  { container: "bzip2", at: 4, bytes: [0x17, 0x72, 0x45, 0x38, 0x50, 0x90] },
  { container: "xz", at: 0, bytes: [0xfd, ...ascii("7zXZ"), 0] },
  { container: "lz4", at: 0, bytes: [0x04, 0x22, 0x4d, 0x18] },
  { container: "lz4 legacy", at: 0, bytes: [0x02, 0x21, 0x4c, 0x18] },
  { container: "7z", at: 0, bytes: [...ascii("7z"), 0xbc, 0xaf, 0x27, 0x1c] },
  { container: "rar", at: 0, bytes: [...ascii("Rar!"), 0x1a, 0x07] },
  { container: "compress", at: 0, bytes: [0x1f, 0x9d] },
  { container: "snappy", at: 0, bytes: [0xff, 0x06, 0, 0, ...ascii("sNaPpY")] },
];

const matches = (head: Uint8Array, { at, bytes }: Magic): boolean =>
  bytes.every((byte, i) => head[at + i] === byte);

/** The container that these first bytes begin; undefined for anything else, plain data above all. */
export function containerOf(head: Uint8Array): Container | undefined {
  // One byte of gzip's two: no plain file is a lone 0x1f, a gzip file cut after one byte is.
  if (head.byteLength === 1 && head[0] === 0x1f) return "gzip";
  const found = MAGIC.find((magic) => matches(head, magic))?.container;
  if (found === "bzip2" && !BZIP2_START.test(latin1(head.subarray(0, 4)))) return undefined;
  if (found === undefined && isSkippableFrame(head)) return behindSkippableFrames(head) ?? "zstd";
  if (found === undefined && isOldTar(head)) return "tar";
  return found;
}

/**
 * Whether these first bytes may begin `container` although they do not show it: they are too few for its
 * magic number, or a frame stands before it that zstd and lz4 share.
 */
export function mayBegin(container: Container, head: Uint8Array): boolean {
  if (isSkippableFrame(head)) {
    const isShared = container === "zstd" || container === "lz4";
    return isShared && (behindSkippableFrames(head) ?? container) === container;
  }
  return (
    head.byteLength > 0 &&
    MAGIC.some(
      (magic) =>
        magic.container === container &&
        head.byteLength < magic.at + magic.bytes.length &&
        magic.bytes.every((byte, i) => (head[magic.at + i] ?? byte) === byte) &&
        (container !== "bzip2" || "BZh".startsWith(latin1(head.subarray(0, 3)))),
    )
  );
}

const BZIP2_START = /^BZh[1-9]/;
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

const isSkippableFrame = (head: Uint8Array): boolean =>
  head.byteLength >= 4 && isSkippableMagic(Buffer.from(head).readUInt32LE(0));

/** zstd or lz4, if the frame behind the skippable ones begins within these bytes; pzstd's does. */
function behindSkippableFrames(head: Uint8Array): Container | undefined {
  const bytes = Buffer.from(head);
  let at = 0;
  while (at + 8 <= bytes.byteLength && isSkippableMagic(bytes.readUInt32LE(at))) {
    at += 8 + bytes.readUInt32LE(at + 4);
  }
  const rest = bytes.subarray(at);
  return MAGIC.find((magic) => magic.at === 0 && matches(rest, magic))?.container;
}

/** tar as it was before POSIX has no magic number, but its header's checksum (of 512 bytes) is one. */
function isOldTar(head: Uint8Array): boolean {
  if (head.byteLength < 512 || head[0] === 0) return false;
  if (head.subarray(257, 512).some((byte) => byte !== 0)) return false;
  const field = /^ *([0-7]{1,7})[ \0]/.exec(latin1(head.subarray(148, 156)));
  if (field === null) return false;
  const sum = head.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  const ofField = head.subarray(148, 156).reduce((total, byte) => total + byte, 0);
  return sum - ofField + 8 * 0x20 === Number.parseInt(field[1] ?? "", 8);
}

/** What the first bytes are, in words for an error message; never a part of them. */
export function describeBytes(head: Uint8Array): string {
  const container = containerOf(head);
  if (container !== undefined) return container;
  if (head.byteLength === 0) return "nothing: the file is empty";
  return plainKind(head) ?? "binary data of an unknown kind";
}

/** Whether these are the first bytes of a file that has no compression for sure. */
export const isKnownPlain = (head: Uint8Array): boolean =>
  head.byteLength > 0 && containerOf(head) === undefined && plainKind(head) !== undefined;

function plainKind(head: Uint8Array): string | undefined {
  const start = latin1(head.subarray(0, 32));
  if (start.startsWith("PAR1")) return "Parquet";
  if (start.startsWith("Obj\x01")) return "Avro";
  if (start.startsWith("-----BEGIN PGP ")) return "an OpenPGP message";
  return isText(head) ? "text" : undefined;
}

function isText(head: Uint8Array): boolean {
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16) return true;
  return head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
