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

/**
 * Translates the XML parser's error, whose message is `line:column: what`. Of what follows a colon in it nothing is
 * kept: it may be the customer's text.
 */
export function toMalformed(error: Error, byteOffset: number): StageError {
  const [, line, column, what] = /^(\d+):(\d+): ([^:]*)/.exec(error.message) ?? [];
  if (what === undefined || line === undefined) {
    return new StageError("parse", "malformed", "not XML", { byteOffset, cause: error });
  }
  if (what.includes("doctype")) return toForbidden(byteOffset);
  const message = `line ${line}, column ${Number(column) + 1}: ${what.replace(/\.$/, "")}`;
  return new StageError("parse", "malformed", message, { byteOffset, cause: error });
}
