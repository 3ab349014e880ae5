import type { ProposedSetting } from "@sluice/errors";
import { WINDOWS_1252 } from "../encoding/charset.ts";

/** Letters of Windows-1252 beyond ASCII: what text of Western Europe has high bytes for. */
const LETTER = /^\p{L}$/u;

/** A character of several bytes in UTF-8, or one that text has not. */
const UTF8_CHARACTER = /[\u00c2-\u00df][\u0080-\u00bf]|[\u00e0-\u00ef][\u0080-\u00bf]{2}/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROLS = /[\u0000-\u0008\u000e-\u001f]/;

/**
 * The encoding to declare for a record's bytes that are no UTF-8 at `at`: Windows-1252, which has all letters of ISO 8859-1, where they are
 * text in it, a letter stands there, and no other character is one of UTF-8, which would then be damaged instead.
 */
export function likelyEncoding(bytes: Uint8Array, at: number): readonly ProposedSetting[] {
  const latin = Buffer.from(bytes).toString("latin1");
  const { text, isInvalid } = WINDOWS_1252.decode(bytes, true);
  const isText = !isInvalid && LETTER.test(text.charAt(at)) && !CONTROLS.test(latin);
  if (!isText || UTF8_CHARACTER.test(latin)) return [];
  return [{ setting: "delimited.encoding", value: "windows-1252" }];
}
