import { StageError } from "@sluice/errors";

/** A document type declaration where none is read: nothing of it, and no entity, was expanded. */
export function toForbidden(byteOffset: number): StageError {
  return new StageError(
    "parse",
    "forbidden_entity",
    "the document has a document type declaration, which is never read: remove it",
    { byteOffset, seen: "<!DOCTYPE" },
  );
}

/** The parser tells of text outside of the root where a chunk or the text ends: that is no place in the document. */
const OUTSIDE = "text data outside of root node";

/**
 * Translates the XML parser's error, whose message is `line:column: what`. Of what follows a colon in it nothing is
 * kept: it may be the customer's text. `tokenOffset` is where the text or markup at hand begins.
 */
export function toMalformed(error: Error, byteOffset: number, tokenOffset: number): StageError {
  const [, line, column, what] = /^(\d+):(\d+): ([^:]*)/.exec(error.message) ?? [];
  if (what === undefined || line === undefined) {
    return new StageError("parse", "malformed", "not XML", { byteOffset, cause: error });
  }
  if (what.includes("doctype")) return toForbidden(byteOffset);
  if (what.startsWith(OUTSIDE)) {
    const message = "text outside of the root element";
    return new StageError("parse", "malformed", message, { byteOffset: tokenOffset, cause: error });
  }
  const message = `line ${line}, column ${Number(column) + 1}: ${what.replace(/\.$/, "")}`;
  return new StageError("parse", "malformed", message, { byteOffset, cause: error });
}
