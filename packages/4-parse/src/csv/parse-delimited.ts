import { StageError } from "@sluice/errors";
import type { Block, DelimitedSettings, ParsedEntry } from "@sluice/schema";
import type { BlockBuilder } from "../blocks/block-builder.ts";
import { closing } from "../blocks/closing.ts";
import { type MemoryOption, parserMemory } from "../blocks/held-memory.ts";
import { UTF_8 } from "../encoding/charset.ts";
import { createReader, type Reader } from "../window/reader.ts";
import { assertUtf8 } from "./assert-utf8.ts";
import { type Cutter, createBlockCutter } from "./cutter.ts";
import { escapesUnquoted, LF, needsCsvParse, toDialect } from "./dialect.ts";
import { createFileOffsets, type FileOffsets } from "./file-offsets.ts";
import { type CreateTokenise, readColumns } from "./header.ts";
import { DELIMITED_LIMITS, type DelimitedLimits } from "./limits.ts";
import { toLineEnds } from "./line-ends.ts";
import { skipPreamble } from "./preamble.ts";
import { toUtf8 } from "./to-utf8.ts";
import { createTokenise } from "./tokenise.ts";
import { createTokeniseByCsvParse } from "./tokenise-by-csv-parse.ts";
import { createWasmCutter, isForWasm } from "./tokenise-by-wasm.ts";
import { createTokeniseEscaped } from "./tokenise-escaped.ts";

/**
 * Delimited text (RFC 4180 and its dialects) as blocks of raw text columns. The call reads just enough
 * to know the columns; an entry without any record has no columns and no blocks. Block borders depend
 * on the bytes, the settings and the limits alone, never on how the bytes arrive in chunks.
 *
 * A dialect with an escape and without a quote is cut by a tokeniser for it, another one with a record delimiter or
 * comments by csv-parse, all others by the tokeniser of most files.
 * Files in other encodings than UTF-8 are cut as UTF-8, in which their limits count; byte offsets are
 * always positions in the file itself.
 *
 * A record with too few or too many fields, or with text behind a closing quote, is a fault of that
 * record. Throws `parse.malformed` (a quote that never closes; a name that is empty or there twice),
 * `parse.bad_encoding` (bytes that are no character, a byte order mark that contradicts the settings),
 * `parse.record_too_large` (a limit, named) and `parse.unsupported_feature` (settings that cut nothing).
 * Whoever does not read `blocks` closes the source by their iterator's `return`.
 */
export function parseDelimited(
  settings: DelimitedSettings,
  { memory, ...options }: Partial<DelimitedLimits> & MemoryOption = {},
): (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  const dialect = toDialect(settings);
  const limits = { ...DELIMITED_LIMITS, ...options };
  const create = readerOf(settings);
  const createCutter = (width: number): Cutter =>
    create === createTokenise && isForWasm(dialect, limits)
      ? createWasmCutter(dialect, limits, width, memory)
      : createBlockCutter(create(dialect, limits), width);
  return async (source) => {
    const { charset, bytes } = await toUtf8(source, settings.encoding);
    const offsets = createFileOffsets(charset);
    const reader = createReader(bytes, {
      sentinel: LF,
      maxCarryBytes: limits.maxRecordBytes,
      onDrop: offsets.advance,
      memory: parserMemory(memory),
    });
    try {
      await skipPreamble(reader, settings.skipRows, toLineEnds(dialect));
      const hasHeader = settings.headerRows === 1;
      const columns = await readColumns(reader, dialect, limits, hasHeader, create);
      const isUtf8 = charset === UTF_8;
      const blocks = cut(reader, () => createCutter(columns.length), offsets, isUtf8);
      return { columns, blocks: closing(blocks, reader.close) };
    } catch (error) {
      await reader.close();
      throw error === reader.failure ? error : offsets.relocate(reader.window, error);
    }
  };
}

function readerOf(settings: DelimitedSettings): CreateTokenise {
  if (escapesUnquoted(settings)) return createTokeniseEscaped;
  return needsCsvParse(settings) ? createTokeniseByCsvParse : createTokenise;
}

async function* cut(
  reader: Reader,
  createCutter: () => Cutter,
  offsets: FileOffsets,
  isUtf8: boolean,
): AsyncGenerator<Block> {
  const { window } = reader;
  const cutter = createCutter();
  const { block, tokenise } = cutter;
  reader.beside = cutter.held;
  const take = (): Block => {
    offsets.fill(block);
    return cutter.take();
  };
  try {
    for (;;) {
      const from = window.start;
      const first = block.rows;
      const isFull = tokenise(window, block, window.isLast);
      if (isUtf8) assertUtf8(window, from, block);
      offsets.note(window, block, first);
      if (isFull) yield take();
      else if (window.isLast) break;
      else await reader.more();
    }
    if (block.rows > 0) yield take();
  } catch (error) {
    throw error === reader.failure ? inRow(error, block) : offsets.relocate(window, error);
  } finally {
    cutter.close();
    await reader.close();
  }
}

/** Bytes that are no character stand in the record that is not complete yet. */
function inRow(error: unknown, block: BlockBuilder): unknown {
  if (!(error instanceof StageError) || error.code !== "bad_encoding") return error;
  return error.at({ row: block.firstRow + block.rows });
}
