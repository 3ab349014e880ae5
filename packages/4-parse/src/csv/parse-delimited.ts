import type { Block, DelimitedSettings, ParsedEntry } from "@sluice/schema";
import { createBlockBuilder, takeBlock } from "../blocks/block-builder.ts";
import { assertUtf8 } from "./assert-utf8.ts";
import { toDialect } from "./dialect.ts";
import { readColumns } from "./header.ts";
import { DELIMITED_LIMITS, type DelimitedLimits } from "./limits.ts";
import { skipPreamble } from "./preamble.ts";
import { createReader, type Reader } from "./reader.ts";
import { createTokenise, type Tokenise } from "./tokenise.ts";

/**
 * Delimited text (RFC 4180 and its dialects) as blocks of raw text columns. The call reads just enough
 * to know the columns; an entry without any record has no columns and no blocks. Block borders depend
 * on the bytes, the settings and the limits alone, never on how the bytes arrive in chunks.
 *
 * A record with too few or too many fields, or with text behind a closing quote, is a fault of that
 * record. Throws `parse.malformed` (a quote that never closes; a name that is empty or there twice),
 * `parse.bad_encoding` (not UTF-8), `parse.record_too_large` (a limit, named) and
 * `parse.unsupported_feature` (settings that cut nothing). Whoever does not read `blocks` closes the
 * source by their iterator's `return`.
 */
export function parseDelimited(
  settings: DelimitedSettings,
  options: Partial<DelimitedLimits> = {},
): (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  const dialect = toDialect(settings);
  const limits = { ...DELIMITED_LIMITS, ...options };
  const tokenise = createTokenise(dialect, limits);
  return async (source) => {
    const reader = createReader(source, limits.maxRecordBytes);
    try {
      await skipPreamble(reader, settings.skipRows);
      const columns = await readColumns(reader, dialect, limits, settings.headerRows === 1);
      return { columns, blocks: closing(cut(reader, tokenise, columns.length), reader) };
    } catch (error) {
      await reader.close();
      throw error;
    }
  };
}

async function* cut(reader: Reader, tokenise: Tokenise, width: number): AsyncGenerator<Block> {
  const { window } = reader;
  const block = createBlockBuilder(width);
  try {
    for (;;) {
      const from = window.start;
      const isFull = tokenise(window, block, reader.isLast);
      assertUtf8(window, from, block);
      if (isFull) yield takeBlock(block);
      else if (reader.isLast) break;
      else await reader.more();
    }
    if (block.rows > 0) yield takeBlock(block);
  } finally {
    await reader.close();
  }
}

/** A generator that was never begun skips its `finally`; these blocks close their source even then. */
function closing(blocks: AsyncGenerator<Block>, reader: Reader): AsyncIterable<Block> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => blocks.next(),
      return: async () => {
        await blocks.return(undefined);
        await reader.close();
        return { done: true, value: undefined };
      },
    }),
  };
}
