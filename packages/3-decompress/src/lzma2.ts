import type { ByteReader, MemoryPart } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { createLzma, decodeLzmaChunk, resetLzma, setLzmaProperties } from "./lzma.ts";
import { takeWhole } from "./next-frame.ts";

const MAX_CHUNK_BYTES = 2 ** 21;
const FIRST_WINDOW_BYTES = 2 ** 16;
/** Positions count into LZMA's contexts by their last four bits, so that the window moves by 16s. */
const ALIGNMENT = 16;

/**
 * Decodes LZMA2 up to its end mark: chunks of at most 64 KiB that give at most 2 MiB each, so that every
 * step is bounded. The window grows with the content, up to the dictionary and a quarter more.
 */
export async function* unlzma2(
  reader: ByteReader,
  dictionaryBytes: number,
  damage: Damage,
  memory: MemoryPart,
): AsyncGenerator<Uint8Array> {
  const lzma = createLzma();
  const window = createWindow(dictionaryBytes);
  let needsDictionaryReset = true;
  let needsProperties = true;
  const take = (length: number): Promise<Buffer> =>
    takeWhole(reader, length, damage, "inside a block");

  for (;;) {
    const control = (await take(1)).readUInt8(0);
    if (control === 0) return;
    if (control === 1 || control >= 0xe0) {
      window.reset();
      needsDictionaryReset = false;
      needsProperties = control === 1 || needsProperties;
    } else if (needsDictionaryReset) throw damaged();
    if (control < 0x80) {
      if (control > 2) throw damaged();
      const size = (await take(2)).readUInt16BE(0) + 1;
      await memory.hold(window.heldFor(size));
      yield window.append(await take(size));
      continue;
    }
    const sizes = await take(4);
    const outputBytes = ((control & 0x1f) << 16) + sizes.readUInt16BE(0) + 1;
    const inputBytes = sizes.readUInt16BE(2) + 1;
    if (control >= 0xc0) {
      if (!setLzmaProperties(lzma, (await take(1)).readUInt8(0))) throw damaged();
      needsProperties = false;
    } else if (needsProperties) throw damaged();
    if (control >= 0xa0) resetLzma(lzma);
    const input = await take(inputBytes);
    await memory.hold(window.heldFor(outputBytes));
    const start = window.reserve(outputBytes);
    const end = start + outputBytes;
    if (!decodeLzmaChunk(lzma, input, 0, window.bytes, start, end, dictionaryBytes))
      throw damaged();
    yield window.commit(outputBytes);
  }

  function damaged(): Error {
    return damage.corrupt("An xz block's data is damaged.");
  }
}

/** What was decoded last, as far back as matches may reach. */
interface Window {
  readonly bytes: Uint8Array;
  reset(): void;
  /** Bytes that making room for `length` more takes, what is copied for it included. */
  heldFor(length: number): number;
  /** Makes room for `length` more bytes and gives their place. */
  reserve(length: number): number;
  /** Takes the bytes that were written to the reserved place as content, and gives a copy. */
  commit(length: number): Uint8Array;
  append(content: Uint8Array): Uint8Array;
}

function createWindow(dictionaryBytes: number): Window {
  const maxBytes = dictionaryBytes + Math.max(2 * MAX_CHUNK_BYTES, dictionaryBytes / 4);
  let bytes = new Uint8Array(Math.min(FIRST_WINDOW_BYTES, maxBytes));
  let end = 0;
  const grownFor = (length: number): number => Math.min(maxBytes, Math.max(end + length, 2 * end));
  const window: Window = {
    get bytes() {
      return bytes;
    },
    reset() {
      end = 0;
    },
    heldFor(length) {
      const isMore = end + length > bytes.byteLength && bytes.byteLength < maxBytes;
      return bytes.byteLength + (isMore ? grownFor(length) : 0);
    },
    reserve(length) {
      if (end + length <= bytes.byteLength) return end;
      if (end + length <= maxBytes) {
        const grown = new Uint8Array(grownFor(length));
        grown.set(bytes.subarray(0, end));
        bytes = grown;
        return end;
      }
      const gone = Math.floor((end - dictionaryBytes) / ALIGNMENT) * ALIGNMENT;
      bytes.copyWithin(0, gone, end);
      end -= gone;
      return end;
    },
    commit(length) {
      end += length;
      return bytes.slice(end - length, end);
    },
    append(content) {
      // Making room may put the window elsewhere.
      const at = window.reserve(content.byteLength);
      bytes.set(content, at);
      end += content.byteLength;
      return content;
    },
  };
  return window;
}
