import type { WorkingMemory } from "../working-memory.ts";

/** Memory that gives up to `maxBytes` at once, and remembers what was held. */
export interface CountedMemory extends WorkingMemory {
  /** Bytes held now, and the most that ever were. */
  readonly held: number;
  readonly peak: number;
}

export function countedMemory(maxBytes: number = Number.POSITIVE_INFINITY): CountedMemory {
  let held = 0;
  let peak = 0;
  return {
    get freeBytes() {
      return maxBytes - held;
    },
    get spareBytes() {
      return maxBytes - held;
    },
    get held() {
      return held;
    },
    get peak() {
      return peak;
    },
    part(refuse) {
      let own = 0;
      return {
        async hold(bytes) {
          const all = held - own + bytes;
          if (all > maxBytes)
            throw refuse(`it takes ${all} bytes, more than maxBytes = ${maxBytes}`);
          held = all;
          own = bytes;
          peak = Math.max(peak, held);
        },
      };
    },
  };
}
