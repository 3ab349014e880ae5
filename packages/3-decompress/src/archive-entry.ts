import type { Entry } from "@sluice/schema";

/** An entry that can be closed when the next one is asked for. */
export interface OpenEntry {
  readonly entry: Entry;
  /** Ends reading. Throws the error that reading ended with, if it did: nobody may pass over it. */
  close(): Promise<void>;
}

/**
 * Makes an entry of bytes that lie in a shared source. They are read once, and before `close`: reading
 * later is a TypeError, and never looks like an end.
 */
export function openEntry(name: string, bytes: AsyncGenerator<Uint8Array>): OpenEntry {
  let isOpen = true;
  let isTaken = false;
  let failure: { readonly error: unknown } | undefined;
  const assertOpen = (): void => {
    if (!isOpen) {
      throw new TypeError("an entry's bytes are read before the next entry is asked for");
    }
  };
  async function* read(): AsyncGenerator<Uint8Array> {
    if (isTaken) throw new TypeError("an entry's bytes are read only once");
    isTaken = true;
    try {
      for (;;) {
        const next = await bytes.next();
        assertOpen();
        if (next.done) return;
        yield next.value;
      }
    } catch (error) {
      if (isOpen) failure = { error };
      throw error;
    } finally {
      await bytes.return(undefined);
    }
  }
  return {
    entry: { name, bytes: { [Symbol.asyncIterator]: read } },
    async close() {
      isOpen = false;
      await bytes.return(undefined);
      if (failure !== undefined) throw failure.error;
    },
  };
}
