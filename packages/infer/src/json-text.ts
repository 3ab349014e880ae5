/** What a text that no object begins is about JSON. */
export type JsonText =
  /** Arrays, of anything: `[]`, `[1, 2]`, `["a"]` and `["b"]` on lines of their own. */
  | { readonly kind: "json"; readonly evidence: string }
  /** JSON inside of something that no reader of JSON takes. */
  | { readonly kind: "wrapped"; readonly words: string; readonly remedy: string };

const PREFIX = /^(?:\)\]\}',?|while\s*\(\s*(?:1|true)\s*\);?|for\s*\(\s*;;\s*\);?)\s*[[{]/;
const CALL =
  /^(?:\/\*\*\/\s*)?[\p{L}_$][\p{L}\p{N}_$.]*\s*\(\s*[[{]\s*(?:["'{}[\]\d-]|true|false|null)/u;
const CALL_END = /\)\s*;?\s*$/;

/**
 * Tells arrays of JSON, and JSON that is wrapped for a browser, from delimited text, which all of them would pass
 * for. Undefined for anything else.
 */
export function jsonText(text: string, isWhole: boolean): JsonText | undefined {
  const start = text.trimStart();
  if (PREFIX.test(start)) {
    const remedy = "Have the file written without what stands before the JSON.";
    return { kind: "wrapped", words: "JSON behind a prefix against scripts", remedy };
  }
  if (CALL.test(start) && (!isWhole || CALL_END.test(start))) {
    const remedy = "Have the file written without the call around the JSON.";
    return { kind: "wrapped", words: "JSONP, which is JSON inside a call of JavaScript", remedy };
  }
  if (!start.startsWith("[") || !isArrays(start, isWhole)) return undefined;
  return { kind: "json", evidence: "the text is an array of JSON, without objects at its head" };
}

const TOKEN = /\s+|"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{},:]/y;

/** Whether there is nothing but JSON's marks and values, as far as the text goes, and only arrays at the root. */
function isArrays(text: string, isWhole: boolean): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    // A head may end anywhere: within a value, too.
    if (token === undefined) return !isWhole && depth > 0 && isCutValue(text.slice(at));
    if (token.trim() === "") continue;
    if (depth === 0 && token !== "[") return false;
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
  }
  return depth === 0 || !isWhole;
}

/** Whether a rest that is no token is the beginning of one. */
const isCutValue = (rest: string): boolean =>
  /^"(?:[^"\\\n]|\\.)*\\?$/.test(rest) || /^(?:-|t|tr|tru|f|fa|fal|fals|n|nu|nul)$/.test(rest);
