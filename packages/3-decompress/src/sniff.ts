/** A container that is recognised by its first bytes, whether it is opened here or not. */
export type Container =
  | "gzip"
  | "zip"
  | "tar"
  | "zstd"
  | "bzip2"
  | "xz"
  | "lz4"
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
  if (found === "bzip2" && Buffer.from(head.subarray(0, 3)).toString("latin1") !== "BZh") {
    return undefined;
  }
  return found;
}

/** What the first bytes are, in words for an error message; never a part of them. */
export function describeBytes(head: Uint8Array): string {
  const container = containerOf(head);
  if (container !== undefined) return container;
  if (head.byteLength === 0) return "nothing: the file is empty";
  const start = Buffer.from(head).toString("latin1");
  if (start.startsWith("PAR1")) return "Parquet";
  if (start.startsWith("Obj\x01")) return "Avro";
  if (start.startsWith("-----BEGIN PGP ")) return "an OpenPGP message";
  return isText(head) ? "text" : "binary data of an unknown kind";
}

function isText(head: Uint8Array): boolean {
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16) return true;
  return head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
