import { StageError } from "@sluice/errors";
import type { SourceColumn } from "@sluice/schema";
import { createBlockBuilder } from "../blocks/block-builder.ts";
import type { Reader } from "../window/reader.ts";
import { assertUtf8 } from "./assert-utf8.ts";
import type { Dialect } from "./dialect.ts";
import type { DelimitedLimits } from "./limits.ts";
import type { Tokenise } from "./tokenise.ts";

const TEXT = "Nullable(String)";

/** One of the ways to cut delimited text. */
export type CreateTokenise = (dialect: Dialect, limits: DelimitedLimits) => Tokenise;

/**
 * Reads up to the end of the first record that is not blank and names the columns after it, or by
 * position; without a header that record is left in the window. No column when there is no record.
 */
export async function readColumns(
  reader: Reader,
  dialect: Dialect,
  limits: DelimitedLimits,
  hasHeader: boolean,
  createTokenise: CreateTokenise,
): Promise<SourceColumn[]> {
  const { window } = reader;
  const one = { ...limits, maxBlockRows: 1 };
  // In a header no name is null: text that stands for null elsewhere is a name here.
  const tokenise = createTokenise({ ...dialect, nullText: undefined }, one);

  const counter = createBlockBuilder(0);
  if (hasHeader) counter.firstRow = 0;
  while (!tokenise(window, counter, window.isLast)) {
    if (window.isLast) return [];
    await reader.more();
  }
  const width = counter.lastFields;
  const byteOffset = counter.byteOffsets[0] ?? 0;
  if (width > limits.maxColumns) {
    const message = `${width} columns, more than maxColumns = ${limits.maxColumns}`;
    throw new StageError("parse", "record_too_large", message, { byteOffset });
  }
  const start = byteOffset - window.base;
  window.start = start;
  if (!hasHeader) {
    return Array.from({ length: width }, (_, i) => ({ name: `column_${i + 1}`, type: TEXT }));
  }

  const header = createBlockBuilder(width);
  header.firstRow = 0;
  tokenise(window, header, window.isLast);
  assertUtf8(window, start, header);
  const [fault] = header.faults;
  if (fault !== undefined) {
    throw new StageError("parse", "malformed", `header: ${fault.message}`, { byteOffset });
  }
  const names = header.data.map((data, column) =>
    Buffer.from(data.subarray(0, header.ends[column])).toString("utf8"),
  );
  assertNames(names, limits, byteOffset);
  return names.map((name) => ({ name, type: TEXT }));
}

/** Names are matched without regard to case, so two that differ in it alone are one name twice. */
function assertNames(names: readonly string[], limits: DelimitedLimits, byteOffset: number): void {
  const seen = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    const position = index + 1;
    if (name === "") {
      const message = `header: column ${position} has no name`;
      throw new StageError("parse", "malformed", message, { byteOffset });
    }
    if (Buffer.byteLength(name) > limits.maxHeaderNameBytes) {
      const message = `header: the name of column ${position} has more than maxHeaderNameBytes = ${limits.maxHeaderNameBytes} bytes`;
      throw new StageError("parse", "record_too_large", message, { byteOffset });
    }
    const folded = name.toLowerCase();
    const first = seen.get(folded);
    if (first !== undefined) {
      const message = `header: columns ${first} and ${position} have the same name`;
      throw new StageError("parse", "malformed", message, { byteOffset, column: name });
    }
    seen.set(folded, position);
  }
}
