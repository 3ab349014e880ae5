import type { Block } from "@sluice/schema";

/** Releases each block once all of its rows are in batches, and no batch shows it any more. */
export interface BlockUses {
  /** A batch shows the block. */
  show(block: Block): void;
  /** It does no more. */
  hide(block: Block): void;
  /** All rows of the block are in batches. */
  taken(block: Block): void;
}

export function createBlockUses(): BlockUses {
  /** How many batches show a block; and 1 more while it has rows that no batch has. */
  const uses = new Map<Block, number>();
  const drop = (block: Block): void => {
    const left = (uses.get(block) ?? 1) - 1;
    if (left > 0) {
      uses.set(block, left);
      return;
    }
    uses.delete(block);
    block.release?.();
  };
  return {
    show: (block) => void uses.set(block, (uses.get(block) ?? 1) + 1),
    hide: drop,
    taken: drop,
  };
}
