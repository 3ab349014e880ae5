import type { Block } from "@sluice/schema";
import { free, UNCOUNTED, type WorkingMemory } from "@sluice/streams";
import { uninitialised } from "./uninitialised.ts";

/**
 * Buffers of one file's blocks, each block in one. Those of blocks that are released are used again: each new one counts for V8 as growth of its heap,
 * and the blocks of two or three record batches make it collect.
 */
export interface BlockBuffers {
  /** Bytes of the buffers that no block has. */
  readonly idleBytes: number;
  /** A buffer of at least so many bytes, whatever they are. */
  take(bytes: number): ArrayBuffer;
  /** The block made of the buffer that was taken last, and all of that; its release gives it back. */
  lend(block: Omit<Block, "release">): Block;
  /** No block is made any more. Those that are not released yet free their buffers when they are. */
  close(): void;
}

/** What the blocks of a record batch take. */
const MAX_IDLE_BYTES = 16 * 2 ** 20;
/** Blocks of a file are of about the same size: this is room for the next one to be a bit larger. */
const SPARE = 1.05;

const lent = new WeakMap<Block, (buffer: ArrayBuffer) => void>();

/** One function for all blocks, so that equal blocks are equal. A copy of a block releases nothing. */
function release(this: Block): void {
  const giveBack = lent.get(this);
  lent.delete(this);
  giveBack?.(this.byteOffsets.buffer as ArrayBuffer);
}

/** `memory`: of the task, which is not asked for more than it has for the sake of idle buffers. Default: there is enough. */
export function createBlockBuffers(
  memory: Pick<WorkingMemory, "spareBytes"> = UNCOUNTED,
): BlockBuffers {
  const idle: ArrayBuffer[] = [];
  let idleBytes = 0;
  let isClosed = false;

  const pop = (at: number): ArrayBuffer | undefined => {
    const [buffer] = idle.splice(at, 1);
    idleBytes -= buffer?.byteLength ?? 0;
    return buffer;
  };
  const giveBack = (buffer: ArrayBuffer): void => {
    const bytes = idleBytes + buffer.byteLength;
    if (isClosed || bytes > MAX_IDLE_BYTES || buffer.byteLength > memory.spareBytes) {
      free(new Uint8Array(buffer));
      return;
    }
    idle.push(buffer);
    idleBytes += buffer.byteLength;
  };

  return {
    get idleBytes() {
      return idleBytes;
    },
    take(bytes) {
      const at = idle.findIndex(({ byteLength }) => byteLength >= bytes);
      const fits = at < 0 ? undefined : pop(at);
      if (fits !== undefined) return fits;
      const small = pop(0);
      if (small !== undefined) free(new Uint8Array(small));
      return uninitialised(Math.ceil(bytes * SPARE)).buffer as ArrayBuffer;
    },
    lend(block) {
      const whole: Block = { ...block, release };
      lent.set(whole, giveBack);
      return whole;
    },
    close() {
      isClosed = true;
      for (const buffer of idle.splice(0)) free(new Uint8Array(buffer));
      idleBytes = 0;
    },
  };
}
