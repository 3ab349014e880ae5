import { StageError } from "@sluice/errors";
import type { Block, ParsedEntry, WantedField, XmlSettings } from "@sluice/schema";
import { type MemoryPart, peek } from "@sluice/streams";
import { createBlockBuilder, takeBlock } from "../blocks/block-builder.ts";
import { closing } from "../blocks/closing.ts";
import { type MemoryOption, parserMemory } from "../blocks/held-memory.ts";
import { UTF_8 } from "../encoding/charset.ts";
import { textPieces } from "../encoding/text-pieces.ts";
import { detectCharset, HEAD_BYTES } from "./detect-charset.ts";
import { createFastRecords, type FastRecords, type Reading } from "./fast-records.ts";
import { fillByBytes } from "./fill-by-bytes.ts";
import { fillByText } from "./fill-by-text.ts";
import { XML_LIMITS, type XmlLimits } from "./limits.ts";
import { createNames } from "./names.ts";
import { createOpenElements } from "./open-elements.ts";
import { toRecordPath } from "./record-path.ts";
import { createRecordReader, type RecordReader } from "./record-reader.ts";
import { createRowSink } from "./row-sink.ts";
import { createRows } from "./rows.ts";

const TEXT = "Nullable(String)";

/**
 * The records of an XML 1.0 document as blocks with one text column for each wanted field.
 *
 * A record is addressed as a JSON record is. Child elements are members by their names, attributes are `@name`;
 * an element of text alone is that text, an empty one the empty text, one with `xsi:nil="true"` null. An element
 * with attributes or children is taken whole as JSON text, in which its own text is `#text`; a path may end in
 * `#text` for an element of either kind. A repeated element is an array: `item[1]` is the second, and a path
 * without an index stands for all of them, as one JSON array, where there are several. A name without a prefix fits
 * elements with any prefix; `p:name` only those written so. Declarations of namespaces are no members. Text that is
 * only white between two tags of an element with child elements is none.
 *
 * With explodePath each element there becomes a row, and each step of that path stands for that element, or for
 * the one around it, in the fields' paths; records without one give no row and are counted in the warnings.
 *
 * Encodings: UTF-8 and UTF-16 by byte order mark, declaration or first bytes; ISO-8859-1, US-ASCII and
 * Windows-1252 by declaration. No entity but XML's own five and character references is expanded, and nothing
 * outside of the document is ever opened.
 *
 * The source is not read before the blocks are. Throws `parse.unsupported_feature` (settings, at once),
 * `parse.bad_encoding`, `parse.forbidden_entity` (any document type declaration), `parse.malformed` and
 * `parse.record_too_large` (a limit, named): all are the end of the file.
 */
export function parseXml(
  settings: XmlSettings,
  fields: readonly WantedField[],
  { memory, isFast = true, ...options }: Partial<XmlLimits> & MemoryOption & FastOption = {},
): (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  const limits = { ...XML_LIMITS, ...options };
  const columns = fields.map(({ incomingName, path }) => ({
    name: incomingName,
    ...(path === undefined ? {} : { path }),
    type: TEXT,
  }));
  const open = (): Document => {
    const names = createNames();
    const path = toRecordPath(settings.rowElement);
    const rows = createRows(fields, settings.explodePath, names, limits);
    const elements = createOpenElements(names);
    const reading = { rows, names, elements, path, limits };
    return { rowElement: settings.rowElement, reading, memory: parserMemory(memory), isFast };
  };
  // Settings that lead nowhere are refused before there is a file.
  open();
  return async (source) => {
    const document = open();
    const iterator = source[Symbol.asyncIterator]();
    let root: string | undefined;
    const blocks = cut(iterator, document, columns.length, (name) => {
      root = name;
    });
    return {
      columns,
      blocks: closing(blocks, async () => await iterator.return?.()),
      findings: () => document.reading.rows.findings(settings.rowElement, root),
    };
  };
}

/** For tests. */
interface FastOption {
  /** Whether records of documents in UTF-8 are read in WebAssembly as far as it is sure of them. Default: yes. */
  readonly isFast?: boolean;
}

/** What one document's reading remembers. */
interface Document {
  readonly rowElement: string;
  readonly reading: Reading;
  readonly memory: MemoryPart;
  readonly isFast: boolean;
}

async function* cut(
  iterator: AsyncIterator<Uint8Array>,
  { rowElement, reading, memory, isFast }: Document,
  width: number,
  onRoot: (name: string | undefined) => void,
): AsyncGenerator<Block> {
  const { path, names, elements, limits } = reading;
  const block = createBlockBuilder(width);
  let fast: FastRecords | undefined;
  try {
    const { head, bytes } = await peek({ [Symbol.asyncIterator]: () => iterator }, HEAD_BYTES);
    const charset = detectCharset(head);
    const reader = createRecordReader(charset, path, names, elements, limits);
    const sink = createRowSink(reading.rows, reader, block, limits);
    const account = { memory, onRoot };
    if (isFast && charset === UTF_8) {
      fast = createFastRecords(reading, block, sink.maxRows);
      for await (const _ of fillByBytes(bytes, fast, path, sink, account)) yield takeBlock(block);
    } else {
      const pieces = textPieces(bytes, charset);
      for await (const _ of fillByText(pieces, sink, account)) yield takeBlock(block);
    }
    if (!sink.hasRecord && reader.firstChild !== undefined) throw withoutRecord(rowElement, reader);
    if (block.rows > 0) yield takeBlock(block);
  } finally {
    fast?.close();
    await iterator.return?.();
  }
}

/** A document that holds something else than the settings say must not pass for an empty one. */
function withoutRecord(rowElement: string, { root, firstChild }: RecordReader): StageError {
  const message = `no element of the document is a record: rowElement is ${rowElement}, the root ${root} holds ${firstChild}`;
  return new StageError("parse", "malformed", message, {
    byteOffset: 0,
    seen: `${root}.${firstChild}`,
    expected: rowElement,
  });
}
