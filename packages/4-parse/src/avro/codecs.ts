import { crc32, inflateRawSync, zstdDecompressSync } from "node:zlib";
import Bzip2 from "@foxglove/wasm-bz2";
import { StageError } from "@sluice/errors";
import { snappyUncompressor } from "hysnappy";
import { createCursor, readLong, setBytes } from "./cursor.ts";
import { malformed, tooLarge } from "./fault.ts";
import type { AvroLimits } from "./limits.ts";

/** Undoes one block's compression: exactly all of `bytes`, or `parse.malformed`. */
export type Decompress = (bytes: Uint8Array) => Uint8Array;

const KNOWN = ["null", "deflate", "snappy", "zstandard", "bzip2"];

/** Throws `parse.unsupported_feature`, which names the codec, for one that is not opened. */
export async function createDecompress(codec: string, limits: AvroLimits): Promise<Decompress> {
  switch (codec) {
    case "null":
      return (bytes) => bytes;
    case "deflate":
      return (bytes) => inflate(bytes, limits);
    case "zstandard":
      return (bytes) => unzstd(bytes, limits);
    case "snappy":
      return createUnsnappy(limits);
    case "bzip2":
      return createBunzip2(await loadBzip2(), limits);
  }
  // A name is shown only as far as it can be one: it comes from the file.
  const name = /^[\w.-]{1,32}$/.test(codec) ? codec : "a name that is none";
  throw new StageError("parse", "unsupported_feature", `the codec ${name} is not supported`, {
    byteOffset: 0,
    seen: `codec ${name}`,
    expected: KNOWN.join(", "),
  });
}

function decompressedTooLarge(limits: AvroLimits): StageError<"parse"> {
  const limit = limits.maxDecompressedBlockBytes;
  return tooLarge("bytes of a decompressed block", "maxDecompressedBlockBytes", limit);
}

interface Inflated {
  readonly buffer: Uint8Array;
  /** Named from the engine's side: bytes of input that it took. */
  readonly engine: { readonly bytesWritten: number };
}

function translate(name: string, run: () => unknown, limits: AvroLimits): Inflated {
  try {
    return run() as Inflated;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") throw decompressedTooLarge(limits);
    throw malformed(`the block's bytes are not ${name}`, { cause });
  }
}

function inflate(bytes: Uint8Array, limits: AvroLimits): Uint8Array {
  const options = { info: true, maxOutputLength: limits.maxDecompressedBlockBytes };
  const { buffer, engine } = translate("deflate", () => inflateRawSync(bytes, options), limits);
  if (engine.bytesWritten !== bytes.length) throw trailing(bytes.length - engine.bytesWritten);
  return buffer;
}

/** A block is one frame or several (RFC 8878, 3.1); Node undoes one at a call, and checks its checksum. */
function unzstd(bytes: Uint8Array, limits: AvroLimits): Uint8Array {
  const parts: Uint8Array[] = [];
  let left = limits.maxDecompressedBlockBytes;
  let at = 0;
  do {
    const frame = bytes.subarray(at);
    // Node takes no output limit of 0.
    const options = { info: true, maxOutputLength: Math.max(1, left) };
    const { buffer, engine } = translate("zstd", () => zstdDecompressSync(frame, options), limits);
    if (engine.bytesWritten === 0) throw trailing(frame.length);
    left -= buffer.length;
    if (left < 0) throw decompressedTooLarge(limits);
    at += engine.bytesWritten;
    parts.push(buffer);
    if (parts.length > limits.maxFramesPerBlock) {
      throw tooLarge("frames of a block", "maxFramesPerBlock", limits.maxFramesPerBlock);
    }
  } while (at < bytes.length);
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

const CRC_BYTES = 4;

/** Raw snappy, then the CRC-32 of what comes out of it, big-endian. */
function createUnsnappy(limits: AvroLimits): Decompress {
  const uncompress = snappyUncompressor();
  const cursor = createCursor();
  return (bytes) => {
    const end = bytes.length - CRC_BYTES;
    if (end < 1) throw malformed("the block's bytes are not snappy");
    const length = declaredLength(bytes, cursor, end, limits);
    let output: Uint8Array;
    try {
      output = uncompress(bytes.subarray(0, end), length);
    } catch (cause) {
      throw malformed("the block's bytes are not snappy", { cause });
    }
    const expected = new DataView(bytes.buffer, bytes.byteOffset + end, CRC_BYTES).getUint32(0);
    if (crc32(output) !== expected) throw malformed("the block does not match its CRC-32");
    return output;
  };
}

/** Snappy's preamble: the length of the output, as a varint of at most 32 bits. */
function declaredLength(
  bytes: Uint8Array,
  cursor: ReturnType<typeof createCursor>,
  end: number,
  limits: AvroLimits,
): number {
  setBytes(cursor, bytes, 0, end, limits);
  // Read as Avro's zigzag and folded back: the bytes are the same.
  const zigzag = readLong(cursor);
  const length = zigzag < 0 ? -2 * zigzag - 1 : 2 * zigzag;
  if (!(length < 2 ** 32)) throw malformed("the block's bytes are not snappy");
  if (length > limits.maxDecompressedBlockBytes) throw decompressedTooLarge(limits);
  return length;
}

let loading: Promise<Bzip2> | undefined;

/** One for the process: it is a megabyte of code, and each call ends before the next begins. */
function loadBzip2(): Promise<Bzip2> {
  loading ??= withoutListeners(() => Bzip2.init());
  return loading;
}

/** Runs what puts listeners of its own to the process, for errors that are none of its business, and takes them off. */
function withoutListeners<T>(run: () => T): T {
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const before = new Set(events.flatMap((event) => process.listeners(event as "exit")));
  const result = run();
  for (const event of events) {
    for (const listener of process.listeners(event as "exit")) {
      if (!before.has(listener)) process.removeListener(event, listener);
    }
  }
  return result;
}

const BUFFER_FULL = "(BZ_OUTBUFF_FULL)";

/** The decoder wants to know how much comes out, which nothing says: it is asked for more and more. */
function createBunzip2(bzip2: Bzip2, limits: AvroLimits): Decompress {
  const most = limits.maxDecompressedBlockBytes;
  return (bytes) => {
    assertBzip2End(bytes);
    for (let room = Math.min(most, bytes.length * 8 + 1024); ; room = Math.min(most, room * 4)) {
      try {
        return bzip2.decompress(bytes, room);
      } catch (cause) {
        // What is not its own word for bad bytes has broken it: the next file gets a new one.
        if (!(cause instanceof Error && cause.message.includes("(BZ_"))) loading = undefined;
        const isFull = cause instanceof Error && cause.message.includes(BUFFER_FULL);
        if (!isFull) throw malformed("the block's bytes are not bzip2", { cause });
        if (room === most) throw decompressedTooLarge(limits);
      }
    }
  };
}

const BZIP2_END = 0x177245385090n;

/**
 * The decoder passes over whatever stands behind a bzip2 stream. A stream's last bits are a mark of 48, a CRC of
 * 32 and 0 to 7 zeros: bytes that do not end so have something behind it.
 */
function assertBzip2End(bytes: Uint8Array): void {
  let last = 0n;
  for (const byte of bytes.subarray(-11)) last = (last << 8n) | BigInt(byte);
  for (let padding = 0n; padding < 8n; padding++) {
    if (((last >> (padding + 32n)) & 0xffffffffffffn) === BZIP2_END) return;
  }
  throw malformed("the block's bytes are not bzip2, or go on behind it");
}

function trailing(count: number): StageError<"parse"> {
  return malformed(`the block has ${count} bytes behind its compressed data`);
}
