import type { Block } from "@sluice/schema";

/** A generator that was never begun skips its `finally`; these blocks close their source even then. */
export function closing(
  blocks: AsyncGenerator<Block>,
  close: () => Promise<unknown>,
): AsyncIterable<Block> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => blocks.next(),
      return: async () => {
        await blocks.return(undefined);
        await close();
        return { done: true, value: undefined };
      },
    }),
  };
}
