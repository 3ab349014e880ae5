import { StageError } from "@sluice/errors";
import { SaxesParser } from "saxes";
import type { Charset } from "../encoding/charset.ts";
import type { TextPiece } from "../encoding/text-pieces.ts";
import { assertLabel } from "./detect-charset.ts";
import { createFilePlace } from "./file-place.ts";
import type { XmlLimits } from "./limits.ts";
import { toForbidden, toMalformed } from "./malformed.ts";
import type { Names } from "./names.ts";
import type { Value } from "./node.ts";
import type { OpenElements } from "./open-elements.ts";
import { createPrologGuard } from "./prolog-guard.ts";
import type { RecordPath } from "./record-path.ts";

/** A record as a tree, and where its start tag begins in the file, in bytes. */
export interface XmlRecord {
  readonly value: Value;
  readonly byteOffset: number;
}

/** Cuts a document's text into records. Its errors have byte offsets, and no rows. */
export interface RecordReader {
  /** Whether the next row's record has begun. */
  readonly isInRecord: boolean;
  /** The root's name; undefined before it opens. */
  readonly root: string | undefined;
  /** The name of the first element inside of the root; undefined as long as there is none. */
  readonly firstChild: string | undefined;
  /** How many elements are open. */
  readonly depth: number;
  /** The name of the record that has begun; undefined outside of records. */
  readonly recordName: string | undefined;
  /** Whether what was written ends behind a tag, a comment or an instruction inside of the root, and in no record. */
  readonly isBetweenTags: boolean;
  /** Bytes of memory that the record under construction takes, and a text outside of records: its characters, its members. */
  readonly heldBytes: number;
  write(piece: TextPiece): void;
  /**
   * Says, between tags, that whole elements follow which somebody else has read, up to this place in the file, with so many line ends, and so many
   * characters behind the last of them. The parser's document is without them, and as sound or unsound as before.
   */
  passOver(byteOffset: number, lines: number, column: number): void;
  /** Nothing follows. */
  end(): void;
  /** Those completed since the last call. */
  takeRecords(): readonly XmlRecord[];
}

const BYTE_ORDER_MARK = 0xfeff;
/** V8's string of other letters than Latin ones. */
const UNIT_BYTES = 2;
/** An object, its place in two lists, and their room to grow: up to 205 were measured. */
const MEMBER_BYTES = 205;

export function createRecordReader(
  charset: Charset,
  path: RecordPath,
  names: Names,
  elements: OpenElements,
  limits: XmlLimits,
): RecordReader {
  const { maxDepth, maxAttributes, maxNameBytes, maxTextLength, maxRecordBytes, maxMembers } =
    limits;
  // Version 1.0 whatever the declaration says: what 1.1 adds is control characters.
  const parser = new SaxesParser({ forceXMLVersion: true, defaultXMLVersion: "1.0" });
  reserveHandlers(parser);
  const guard = createPrologGuard();
  const place = createFilePlace(charset);
  let records: XmlRecord[] = [];
  let root: string | undefined;
  let firstChild: string | undefined;
  let depth = 0;
  let isBeginning = true;
  let attributes: string[] = [];
  /** Where the markup or text at hand begins: in code units, and in bytes if that was in an earlier piece. */
  let tokenUnit = 0;
  let tokenByte = 0;
  /** Where the last text outside of the root began, in bytes, and ended, in code units. */
  let textOutsideByte = 0;
  let textOutsideEnd = -1;
  let recordByte = 0;
  let recordName = "";
  /** Elements and attributes of the record so far. */
  let members = 0;
  /** Where the last record ended, in code units. */
  let recordEnd = -1;
  /** Whether the last record, which seemed complete, is the faulty one. */
  let isUndone = false;

  const byteOfToken = (): number =>
    tokenUnit >= place.start ? place.byteAt(tokenUnit) : tokenByte;
  const textOver = (): StageError =>
    over("maxTextLength", maxTextLength, "characters in one text or tag", byteOfToken());
  /** The limit that the text up to here has passed first, if it has passed one. */
  const overrun = (unit: number): StageError | undefined => {
    const isOver = (at: number): boolean =>
      elements.depth > 0 && place.byteAt(at) - recordByte > maxRecordBytes;
    const firstOver = tokenUnit + maxTextLength + 1;
    if (isOver(Math.min(unit, firstOver))) {
      return over("maxRecordBytes", maxRecordBytes, "bytes in one record", recordByte);
    }
    return unit >= firstOver ? textOver() : undefined;
  };
  const beginToken = (unit: number): void => {
    if (unit - tokenUnit > maxTextLength) throw textOver();
    tokenUnit = unit;
  };
  const assertName = (name: string): void => {
    if (name.length * 3 > maxNameBytes && Buffer.byteLength(name) > maxNameBytes) {
      throw over("maxNameBytes", maxNameBytes, "bytes in one name", byteOfToken());
    }
  };

  parser.on("error", (error) => {
    // A closing tag that does not match is told of once its record seems complete.
    if (recordEnd === parser.position) isUndone = records.pop() !== undefined;
    // A text outside of the root may have been told of already: then it ended just now.
    const isTextOver = textOutsideEnd === parser.position;
    const tokenOffset = isTextOver ? textOutsideByte : byteOfToken();
    throw toMalformed(error, place.byteAt(parser.position), tokenOffset);
  });
  parser.on("xmldecl", ({ encoding }) => {
    assertLabel(encoding, charset);
    beginToken(parser.position);
  });
  parser.on("processinginstruction", () => beginToken(parser.position));
  // Told of before the last `>`.
  parser.on("comment", () => beginToken(parser.position + 1));
  parser.on("attribute", ({ name, value }) => {
    assertName(name);
    attributes.push(name, value);
    if (attributes.length > maxAttributes * 2) {
      throw over("maxAttributes", maxAttributes, "attributes of one element", byteOfToken());
    }
  });
  parser.on("opentag", ({ name }) => {
    assertName(name);
    if (++depth > maxDepth) {
      throw over("maxDepth", maxDepth, "elements inside of each other", byteOfToken());
    }
    root ??= name;
    if (depth === 2) firstChild ??= name;
    if (elements.depth > 0) openMember(name);
    else if (path.open(name, depth)) {
      names.trim();
      recordByte = byteOfToken();
      recordName = name;
      members = 0;
      openMember(name);
    }
    if (attributes.length > 0) attributes = [];
    beginToken(parser.position);
  });
  parser.on("closetag", () => {
    if (elements.depth > 0) {
      const value = elements.close();
      if (value !== undefined) endRecord(value);
    } else path.close(depth);
    depth--;
    beginToken(parser.position);
  });
  parser.on("text", (text) => {
    if (depth === 0) {
      textOutsideByte = byteOfToken();
      textOutsideEnd = parser.position;
    }
    // Told of behind the `<` that ends it.
    beginToken(parser.position - 1);
    if (elements.depth > 0) elements.text(text);
  });
  parser.on("cdata", (text) => {
    beginToken(parser.position);
    if (elements.depth > 0) elements.text(text);
  });

  const openMember = (name: string): void => {
    members += 1 + attributes.length / 2;
    if (members > maxMembers) {
      throw over("maxMembers", maxMembers, "elements and attributes in one record", recordByte);
    }
    elements.open(name, attributes);
  };
  const endRecord = (value: Value): void => {
    recordEnd = parser.position;
    if (place.byteAt(recordEnd) - recordByte > maxRecordBytes) {
      isUndone = true;
      throw over("maxRecordBytes", maxRecordBytes, "bytes in one record", recordByte);
    }
    records.push({ value, byteOffset: recordByte });
  };

  const feed = (text: string): void => {
    const doctype = guard.scan(text);
    if (doctype >= 0) {
      if (doctype > place.start) parser.write(text.slice(0, doctype - place.start));
      tokenUnit = doctype;
      throw toForbidden(byteOfToken());
    }
    parser.write(text);
  };

  return {
    get isInRecord() {
      return elements.depth > 0 || isUndone;
    },
    get root() {
      return root;
    },
    get firstChild() {
      return firstChild;
    },
    get depth() {
      return depth;
    },
    get recordName() {
      return elements.depth > 0 ? recordName : undefined;
    },
    get isBetweenTags() {
      return depth > 0 && elements.depth === 0 && tokenUnit === place.end;
    },
    get heldBytes() {
      const isIn = elements.depth > 0;
      const units = isIn ? place.byteAt(place.end) - recordByte : place.end - tokenUnit;
      return units * UNIT_BYTES + (isIn ? members * MEMBER_BYTES : 0);
    },
    write(piece) {
      const { text } = piece;
      place.take(piece);
      // The parser takes a mark, and blanks before the first `<`, without telling of it.
      if (tokenUnit === place.start && isBeginning) {
        tokenUnit += leading(text);
        isBeginning = tokenUnit === place.end;
      }
      try {
        feed(text);
      } catch (error) {
        // The limit that was passed before it comes first, as it does where pieces are short.
        throw overrun(Math.min(parser.position, place.end)) ?? error;
      }
      const passed = overrun(place.end);
      if (passed !== undefined) throw passed;
      if (tokenUnit >= place.start) tokenByte = place.byteAt(tokenUnit);
    },
    passOver(byteOffset, lines, column) {
      parser.line += lines;
      parser.column = lines > 0 ? column : parser.column + column;
      place.take({ text: "", byteOffset, byteLength: 0 });
    },
    end() {
      parser.close();
    },
    takeRecords() {
      const taken = records;
      if (taken.length > 0) records = [];
      return taken;
    },
  };
}

/**
 * The parser adds a property to itself for each handler by a computed name, and after some of those V8 takes it
 * for a dictionary, in which each of its reads is slow: a sixth of the speed, measured. Properties that are there before,
 * by names that stand in the code, have no such end. A parser that calls them otherwise is slower, not wrong.
 */
function reserveHandlers(parser: object): void {
  const slots: Record<string, undefined> = parser as Record<string, undefined>;
  slots.errorHandler = undefined;
  slots.xmldeclHandler = undefined;
  slots.piHandler = undefined;
  slots.commentHandler = undefined;
  slots.attributeHandler = undefined;
  slots.openTagHandler = undefined;
  slots.closeTagHandler = undefined;
  slots.textHandler = undefined;
  slots.cdataHandler = undefined;
}

function leading(text: string): number {
  let at = text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
  while (at < text.length && " \t\r\n".includes(text.charAt(at))) at++;
  return at;
}

function over(option: string, limit: number, what: string, byteOffset: number): StageError {
  const message = `more than ${option} = ${limit} ${what}`;
  return new StageError("parse", "record_too_large", message, { byteOffset });
}
