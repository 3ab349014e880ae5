import type { Block } from "@sluice/schema";
import { type BlockBuilder, createBlockBuilder, takeBlock } from "../blocks/block-builder.ts";
import { heldByBlock } from "../blocks/held-memory.ts";
import type { Tokenise } from "./tokenise.ts";

/** What cuts a file's records into blocks. */
export interface Cutter {
  /** Says which rows the block under construction has, and where; it need not hold their cells. */
  readonly block: BlockBuilder;
  readonly tokenise: Tokenise;
  /** Hands the block over, which has at least one row, and begins the next one. */
  take(): Block;
  /** Bytes of memory. */
  held(): number;
  /** The cutter is used no more. */
  close(): void;
}

/** Blocks whose cells a tokeniser writes itself. */
export function createBlockCutter(tokenise: Tokenise, width: number): Cutter {
  const block = createBlockBuilder(width);
  return {
    block,
    tokenise,
    take: () => takeBlock(block),
    held: () => heldByBlock(block),
    close: () => undefined,
  };
}
