import { StageError } from "@sluice/errors";
import type { Block, ParsedEntry, WantedField, XmlSettings } from "@sluice/schema";
import { type MemoryPart, peek } from "@sluice/streams";
import { type BlockBuilder, createBlockBuilder, takeBlock } from "../blocks/block-builder.ts";
import { closing } from "../blocks/closing.ts";
import { heldByBlock, type MemoryOption, parserMemory } from "../blocks/held-memory.ts";
import { textPieces } from "../encoding/text-pieces.ts";
import { detectCharset, HEAD_BYTES } from "./detect-charset.ts";
import { XML_LIMITS, type XmlLimits } from "./limits.ts";
import { createNames } from "./names.ts";
import { toRecordPath } from "./record-path.ts";
import { createRecordReader, type RecordReader } from "./record-reader.ts";
import { createRows, type Rows } from "./rows.ts";

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
  { memory, ...options }: Partial<XmlLimits> & MemoryOption = {},
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
    const createReader: Document["createReader"] = (charset) =>
      createRecordReader(charset, path, names, limits);
    const account = parserMemory(memory);
    return { rowElement: settings.rowElement, rows, createReader, memory: account };
  };
  // Settings that lead nowhere are refused before there is a file.
  open();
  return async (source) => {
    const document = open();
    const iterator = source[Symbol.asyncIterator]();
    let root: string | undefined;
    const blocks = cut(iterator, document, columns.length, limits, (name) => {
      root = name;
    });
    return {
      columns,
      blocks: closing(blocks, async () => await iterator.return?.()),
      findings: () => document.rows.findings(settings.rowElement, root),
    };
  };
}

/** What one document's reading remembers. */
interface Document {
  readonly rowElement: string;
  readonly rows: Rows;
  readonly createReader: (charset: ReturnType<typeof detectCharset>) => RecordReader;
  readonly memory: MemoryPart;
}

async function* cut(
  iterator: AsyncIterator<Uint8Array>,
  document: Document,
  width: number,
  limits: XmlLimits,
  onRoot: (name: string | undefined) => void,
): AsyncGenerator<Block> {
  const block = createBlockBuilder(width);
  const { add, addExploded } = document.rows;
  const isFull = toIsFull(block, limits);
  try {
    const { head, bytes } = await peek({ [Symbol.asyncIterator]: () => iterator }, HEAD_BYTES);
    const charset = detectCharset(head);
    const reader = document.createReader(charset);
    const pieces = textPieces(bytes, charset);
    let hasRecord = false;
    for (let isLast = false; !isLast; ) {
      let failure: { readonly error: unknown } | undefined;
      try {
        const next = await pieces.next();
        if (next.done) {
          isLast = true;
          reader.end();
        } else reader.write(next.value);
        await document.memory.hold(heldByBlock(block) + reader.heldBytes);
      } catch (error) {
        failure = { error };
      }
      // Records before the failure come first: what was given must not depend on how the bytes arrive.
      for (const record of reader.takeRecords()) {
        hasRecord = true;
        if (addExploded !== undefined) {
          for (const _ of addExploded(record, block)) if (isFull()) yield takeBlock(block);
        } else {
          add(record, block);
          if (isFull()) yield takeBlock(block);
        }
      }
      onRoot(reader.root);
      if (failure !== undefined) throw inRow(failure.error, reader, block);
    }
    if (!hasRecord && reader.firstChild !== undefined) throw withoutRecord(document, reader);
    if (block.rows > 0) yield takeBlock(block);
  } finally {
    await iterator.return?.();
  }
}

/** A document that holds something else than the settings say must not pass for an empty one. */
function withoutRecord({ rowElement }: Document, { root, firstChild }: RecordReader): StageError {
  const message = `no element of the document is a record: rowElement is ${rowElement}, the root ${root} holds ${firstChild}`;
  return new StageError("parse", "malformed", message, {
    byteOffset: 0,
    seen: `${root}.${firstChild}`,
    expected: rowElement,
  });
}

function toIsFull(block: BlockBuilder, limits: XmlLimits): () => boolean {
  const maxRows = Math.min(
    limits.maxBlockRows,
    Math.max(1, Math.floor(limits.maxBlockCells / Math.max(1, block.width))),
  );
  return () => {
    if (block.rows >= maxRows) return true;
    let bytes = 0;
    for (let column = 0; column < block.width; column++) bytes += block.ends[column] ?? 0;
    return bytes >= limits.maxBlockBytes;
  };
}

function inRow(error: unknown, reader: RecordReader, block: BlockBuilder): unknown {
  if (!(error instanceof StageError) || error.stage !== "parse" || !reader.isInRecord) return error;
  return error.at({ row: block.firstRow + block.rows });
}
