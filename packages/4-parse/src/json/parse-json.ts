import { StageError } from "@sluice/errors";
import type { Block, JsonSettings, ParsedEntry, SourceColumn, WantedField } from "@sluice/schema";
import { takeBlock } from "../blocks/block-builder.ts";
import { assertUtf8, skipByteOrderMark } from "./encoding.ts";
import { readPath, toFieldTrees } from "./field-tree.ts";
import { toFindings } from "./findings.ts";
import { JSON_LIMITS, type JsonLimits } from "./limits.ts";
import { type Cut, createLineCut } from "./lines.ts";
import { createReader, type Reader } from "./reader.ts";
import { createRows, type Rows } from "./rows.ts";
import { createScan } from "./scan.ts";
import { createTextCut } from "./texts.ts";

/**
 * JSON (RFC 8259) as blocks of raw text columns, one for each wanted field, in their order.
 */
export function parseJson(
  settings: JsonSettings,
  fields: readonly WantedField[],
  options: Partial<JsonLimits> = {},
): (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  const limits = { ...JSON_LIMITS, ...options };
  const { shape, explodePath } = settings;
  const recordPath = settings.recordPath === "" ? [] : readPath(settings.recordPath, "recordPath");
  toFieldTrees(fields, explodePath);
  const columns = fields.map(({ incomingName, path }): SourceColumn => {
    const column = { name: incomingName, type: "Nullable(String)" };
    return path === undefined ? column : { ...column, path };
  });
  const names = fields.map(({ incomingName }) => incomingName);

  return async (source) => {
    const scan = createScan(limits, shape === "lines");
    const rows = createRows(scan, toFieldTrees(fields, explodePath), names);
    const cut =
      shape === "lines"
        ? createLineCut(scan, rows, recordPath)
        : createTextCut(scan, rows, recordPath, shape === "records");
    const reader = createReader(source, Math.max(limits.maxRecordBytes, limits.maxValueBytes));
    return {
      columns,
      blocks: closing(toBlocks(reader, cut, rows), reader),
      findings: () => toFindings(rows.notes),
    };
  };
}

async function* toBlocks(reader: Reader, cut: Cut, rows: Rows): AsyncGenerator<Block> {
  const { window } = reader;
  const { block } = rows;
  try {
    await skipByteOrderMark(reader);
    for (;;) {
      const from = window.start;
      const isFull = checked(cut, reader, rows);
      assertUtf8(window, from, window.start, block);
      if (isFull) yield takeBlock(block);
      else if (window.isLast) break;
      else await reader.more();
    }
    if (block.rows > 0) yield takeBlock(block);
  } finally {
    await reader.close();
  }
}

/** Cuts; an error gives way to an encoding error before it, however much of the file the window holds. */
function checked(cut: Cut, { window }: Reader, { block }: Rows): boolean {
  const from = window.start;
  try {
    return cut(window);
  } catch (error) {
    if (error instanceof StageError) {
      const { byteOffset = 0 } = error.coordinate;
      assertUtf8(window, from, Math.max(from, byteOffset - window.base), block);
    }
    throw error;
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
