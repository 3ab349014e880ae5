import { StageError } from "@sluice/errors";
import type { WorkingMemory } from "@sluice/streams";
import { parserMemory } from "../blocks/held-memory.ts";
import {
  type ArrowDecoder,
  type ArrowDecoderOptions,
  createArrowDecoder,
} from "./arrow-decoder.ts";

export interface GrowingDecoderOptions extends ArrowDecoderOptions {
  readonly memory: WorkingMemory;
}

/** Decodes row groups one after the other, in no more memory than they need. */
export interface GrowingDecoder extends AsyncDisposable {
  /** Takes the file that is decoded from now on, of `byteLength` bytes; `read` gives its bytes, again when they are needed again. */
  take(byteLength: number, read: () => Promise<Uint8Array<ArrayBuffer>>): Promise<void>;
  /** See ArrowDecoder. */
  decode(offset: number, rows: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/** The decoder's own copy of the file, and what one piece is decoded in. */
const PIECE_ROOM_BYTES = 32 * 2 ** 20;
/** With less there is no use in trying. */
const LEAST_BYTES = 16 * 2 ** 20;

/**
 * The decoder's memory only ever grows, and nobody knows before how far it has to: so it begins with a maximum that
 * most row groups need, which is held before it starts; one that needs more is decoded anew with twice as much.
 */
export function createGrowingDecoder(options: GrowingDecoderOptions): GrowingDecoder {
  const { memory, maxDecoderBytes, decodeTimeoutMs } = options;
  const account = parserMemory(memory);
  let held = 0;
  const hold = async (bytes: number): Promise<void> => {
    await account.hold(bytes);
    held = bytes;
  };
  let decoder: ArrowDecoder | undefined;
  let decoderBytes = 0;
  let file: { readonly byteLength: number; readonly read: () => Promise<Uint8Array<ArrayBuffer>> };

  async function grow(least: number): Promise<void> {
    await decoder?.[Symbol.asyncDispose]();
    decoder = undefined;
    const wanted = Math.min(maxDecoderBytes, 2 ** Math.ceil(Math.log2(least)));
    const left = memory.freeBytes + held - file.byteLength;
    // The last step takes what is left; the one after it is refused.
    decoderBytes = wanted > left && decoderBytes < left && left >= LEAST_BYTES ? left : wanted;
    await hold(file.byteLength + decoderBytes);
    decoder = createArrowDecoder({ maxDecoderBytes: decoderBytes, decodeTimeoutMs });
  }

  return {
    async take(byteLength, read) {
      file = { byteLength, read };
      const least = byteLength + PIECE_ROOM_BYTES;
      if (decoder === undefined || decoderBytes < Math.min(least, maxDecoderBytes))
        await grow(least);
      else await hold(byteLength + decoderBytes);
      decoder?.take(await read());
    },
    async decode(offset, rows, signal) {
      for (;;) {
        if (decoder === undefined) throw new Error("the decoder has no file");
        try {
          return await decoder.decode(offset, rows, signal);
        } catch (error) {
          const isShort = error instanceof StageError && error.code === "record_too_large";
          if (!isShort || decoderBytes >= maxDecoderBytes) throw error;
        }
        await grow(decoderBytes * 2);
        decoder?.take(await file.read());
      }
    },
    async [Symbol.asyncDispose]() {
      await decoder?.[Symbol.asyncDispose]();
      await hold(0);
    },
  };
}
