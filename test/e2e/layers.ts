import { spawnSync } from "node:child_process";
import {
  brotliCompressSync,
  crc32,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { ArchiveSettings_Kind, Compression } from "@sluice/api/control/v1/file_settings_pb";
import { createMessage, encrypt } from "openpgp";
import type { FileSettings } from "./story.ts";

/** What may be around a file: how it is put there, and the settings that open it. */
export interface Layer {
  readonly name: string;
  readonly settings: Pick<FileSettings, "compression" | "archive">;
  readonly isPgp: boolean;
  /** Undefined where the tool that writes it is not on this machine. */
  readonly wrap: ((bytes: Uint8Array) => Promise<Uint8Array>) | undefined;
}

export const PGP_PASSPHRASE = "open sesame";

const ZIP = { kind: ArchiveSettings_Kind.ZIP };
const TAR = { kind: ArchiveSettings_Kind.TAR };

const layer = (
  name: string,
  wrap: ((bytes: Uint8Array) => Uint8Array) | undefined,
  settings: Layer["settings"] = {},
): Layer => ({
  name,
  settings,
  isPgp: false,
  wrap: wrap === undefined ? undefined : async (bytes) => wrap(bytes),
});

const encrypted = (inner: Layer, name: string): Layer => ({
  ...inner,
  name,
  isPgp: true,
  wrap: async (bytes) => {
    const binary = Buffer.from((await inner.wrap?.(bytes)) ?? bytes);
    const message = await createMessage({ binary });
    const passwords = PGP_PASSPHRASE;
    return (await encrypt({ message, passwords, format: "binary" })) as Uint8Array;
  },
});

const PLAIN = layer("plain", (bytes) => bytes);
const GZIP = layer("gzip", (bytes) => gzipSync(bytes));
const IN_ZIP = layer("zip", (bytes) => zip([["data", bytes]]), { archive: ZIP });

/** Every layer that the guide's table has a column for, in its order. */
export const LAYERS: readonly Layer[] = [
  PLAIN,
  GZIP,
  layer("zstd", (bytes) => zstdCompressSync(bytes)),
  layer("bzip2", byTool("bzip2")),
  layer("xz", byTool("xz")),
  layer("lz4", byTool("lz4")),
  layer("snappy", snappyFrames),
  layer("brotli", (bytes) => brotliCompressSync(bytes), { compression: Compression.BROTLI }),
  layer("deflate", (bytes) => deflateSync(bytes), { compression: Compression.DEFLATE }),
  IN_ZIP,
  layer("tar", (bytes) => tar([["data", bytes]]), { archive: TAR }),
  layer("tar.gz", (bytes) => gzipSync(tar([["data", bytes]])), { archive: TAR }),
  encrypted(PLAIN, "PGP"),
  encrypted(GZIP, "gzip in PGP"),
  encrypted(IN_ZIP, "zip in PGP"),
];

/** A command that compresses from standard input to standard output; undefined when it is not installed. */
function byTool(tool: string): ((bytes: Uint8Array) => Uint8Array) | undefined {
  if (spawnSync(tool, ["--version"]).error !== undefined) return undefined;
  return (bytes) => spawnSync(tool, ["-c"], { input: bytes, maxBuffer: 2 ** 26 }).stdout;
}

/** A zip of deflated files, as most tools write it. */
export function zip(files: readonly (readonly [name: string, bytes: Uint8Array])[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const nameBytes = Buffer.from(name);
    const data = deflateRawSync(bytes);
    const common = Buffer.alloc(26);
    // Version 2.0, names in UTF-8, deflate, 1980-01-01.
    for (const [at, value] of [20, 0x0800, 8, 0, 0x21].entries())
      common.writeUInt16LE(value, at * 2);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(nameBytes.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, nameBytes, data]);
    const entry = Buffer.alloc(46 - 30 + 26 + 4);
    entry.write("PK\x01\x02", "latin1");
    entry.writeUInt16LE(20, 4);
    common.copy(entry, 6);
    entry.writeUInt32LE(offset, 42);
    central.push(entry, nameBytes);
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** A ustar archive. */
export function tar(files: readonly (readonly [name: string, bytes: Uint8Array])[]): Buffer {
  const parts = files.flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\x000000000\x000000000\0", 100);
    header.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0        0", 136);
    header.write("ustar\x0000", 257, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Snappy's framing format with chunks that are not compressed, which every reader has to know. */
function snappyFrames(bytes: Uint8Array): Buffer {
  const chunks: Buffer[] = [Buffer.from("\xff\x06\0\0sNaPpY", "latin1")];
  for (let at = 0; at < bytes.length; at += 65_536) {
    const data = bytes.subarray(at, at + 65_536);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(0x01 | ((data.length + 4) << 8), 0);
    const sum = crc32c(data);
    head.writeUInt32LE((((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0, 4);
    chunks.push(head, Buffer.from(data));
  }
  return Buffer.concat(chunks);
}

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
