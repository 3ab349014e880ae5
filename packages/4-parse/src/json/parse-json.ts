import { StageError } from "@sluice/errors";
import type { Block, JsonSettings, ParsedEntry, SourceColumn, WantedField } from "@sluice/schema";
import { takeBlock } from "../blocks/block-builder.ts";
import { closing } from "../blocks/closing.ts";
import { heldByBlock, type MemoryOption, parserMemory } from "../blocks/held-memory.ts";
import { createReader, type Reader } from "../window/reader.ts";
import { assertUtf8, skipByteOrderMark } from "./encoding.ts";
import { createFastLines, type FastLines } from "./fast-lines.ts";
import { readPath, toFieldTrees } from "./field-tree.ts";
import { toFindings } from "./findings.ts";
import { JSON_LIMITS, type JsonLimits } from "./limits.ts";
import { type Cut, createLineCut } from "./lines.ts";
import { createRows, type Rows } from "./rows.ts";
import { createScan, NUL } from "./scan.ts";
import { createTextCut } from "./texts.ts";

/** For tests: what comes out is the same either way. */
export interface FastOption {
  /** Whether lines whose names are known are taken in WebAssembly. Default true. */
  readonly isFast?: boolean;
}

/**
 * JSON (RFC 8259) as blocks of raw text columns, one for each wanted field, in their order. Everything is
 * checked by the whole grammar, also what no field takes. Blocks, findings and errors depend on the bytes,
 * the settings and the limits alone, never on how the bytes arrive in chunks. No object is built of them.
 *
 * Fields. Without a path a field is the record's member of its incoming name, with one it stands where
 * `parseFieldPath` says. Names match without regard to case, an exact spelling first.
 *
 * Cells. A string is its text; a number, `true` and `false` are as they are written, so that every digit
 * stays; an object or array is its bytes as they stand, blanks included; null and absent are null. Of a key
 * given twice in one object on a field's way the last one counts, and so of two that differ in case alone
 * when neither is spelled as the field; `findings` counts such records.
 *
 * Shape `lines`. One record on each line; LF, CRLF and a lone CR end a line; blank lines are passed over. A
 * line that is no object, or has anything behind it, or is over a limit, is a fault of one row, and the next
 * line goes on. With recordPath a line's record, or array of them, stands there. Shape `records`: one text,
 * an array of records or one record; `concatenated`: texts with any whitespace or none between them. In
 * these two an element or text that is no object is a fault of its row; what breaks the grammar or a
 * limit, or stands behind the only text, ends the file, and so does a recordPath that leads nowhere in the
 * only text or to two places of one.
 *
 * explodePath. Each element of the array there is a row, with the record's other fields beside it; paths
 * lead through the array as if it were its one element, and the path itself is the whole element. A value
 * that is no array is one element; an empty array, null or nothing gives no row, which `findings` counts.
 *
 * Rows count rows, and their byte offsets are where the record or the exploded element begins. `findings`
 * tells columns that no record had (null is had), and members of records and of exploded elements, these
 * as paths, that no field takes.
 *
 * Throws `parse.malformed`, `parse.record_too_large` (a limit, named), `parse.bad_encoding` (not UTF-8, in
 * any shape; a byte order mark of UTF-8 is passed over) and, at once, `parse.unsupported_feature` (a path
 * that is none). An escape for half a character, a surrogate without its other half, is a fault of the row
 * whose cell it would be in. When the first record shows surely that the file has another shape the error
 * proposes it. Whoever does not read `blocks` closes the source by their iterator's `return`.
 */
export function parseJson(
  settings: JsonSettings,
  fields: readonly WantedField[],
  { memory, isFast = true, ...options }: Partial<JsonLimits> & MemoryOption & FastOption = {},
): (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  const limits = { ...JSON_LIMITS, ...options };
  const { shape, explodePath } = settings;
  const recordPath = settings.recordPath === "" ? [] : readPath(settings.recordPath, "recordPath");
  // The trees learn from the file they are used for, so each file has its own: this one is for the errors.
  toFieldTrees(fields, explodePath);
  const columns = fields.map(({ incomingName, path }): SourceColumn => {
    const column = { name: incomingName, type: "Nullable(String)" };
    return path === undefined ? column : { ...column, path };
  });
  const names = fields.map(({ incomingName }) => incomingName);

  return async (source) => {
    const scan = createScan(limits, shape === "lines");
    const trees = toFieldTrees(fields, explodePath);
    const rows = createRows(scan, trees, names);
    const isPlain = shape === "lines" && recordPath.length === 0;
    const fast = isFast && isPlain ? createFastLines(rows, trees, limits) : undefined;
    const cut =
      shape === "lines"
        ? createLineCut(scan, rows, recordPath, fast)
        : createTextCut(scan, rows, recordPath, shape === "records");
    const reader = createReader(source, {
      sentinel: NUL,
      maxCarryBytes: Math.max(limits.maxRecordBytes, limits.maxValueBytes),
      memory: parserMemory(memory),
    });
    reader.beside = () => heldByBlock(rows.block) + (fast?.bytes ?? 0);
    return {
      columns,
      blocks: closing(toBlocks(reader, cut, rows, fast), reader.close),
      findings: () => toFindings(rows.notes),
    };
  };
}

async function* toBlocks(
  reader: Reader,
  cut: Cut,
  rows: Rows,
  fast: FastLines | undefined,
): AsyncGenerator<Block> {
  const { window } = reader;
  const { block } = rows;
  try {
    await skipByteOrderMark(reader);
    for (;;) {
      const isFull = checked(cut, reader, rows);
      assertUtf8(window, window.start, rows);
      if (isFull) yield takeBlock(block);
      else if (window.isLast) break;
      else await reader.more();
    }
    if (block.rows > 0) yield takeBlock(block);
  } finally {
    fast?.close();
    await reader.close();
  }
}

/** Cuts; an error gives way to an encoding error before it, however much of the file the window holds. */
function checked(cut: Cut, { window }: Reader, rows: Rows): boolean {
  try {
    return cut(window);
  } catch (error) {
    if (error instanceof StageError) {
      const { byteOffset = 0 } = error.coordinate;
      assertUtf8(window, Math.max(window.start, byteOffset - window.base), rows);
    }
    throw error;
  }
}
