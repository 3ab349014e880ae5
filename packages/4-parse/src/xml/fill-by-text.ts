import type { TextPiece } from "../encoding/text-pieces.ts";
import type { Account, RowSink } from "./row-sink.ts";

/** Reads a document's text by saxes: the block is full at each step. */
export async function* fillByText(
  pieces: AsyncGenerator<TextPiece>,
  sink: RowSink,
  { memory, onRoot }: Account,
): AsyncGenerator<void> {
  const { reader } = sink;
  for (let isLast = false; !isLast; ) {
    let failure: { readonly error: unknown } | undefined;
    try {
      const next = await pieces.next();
      if (next.done) {
        isLast = true;
        reader.end();
      } else reader.write(next.value);
      await memory.hold(sink.heldBytes());
    } catch (error) {
      failure = { error };
    }
    // Records before the failure come first: what was given must not depend on how the bytes arrive.
    yield* sink.add(reader.takeRecords());
    onRoot(reader.root);
    if (failure !== undefined) throw sink.inRow(failure.error);
  }
}
