import { type Guess, guess } from "./guess.ts";

interface Seen {
  count: number;
  readonly depth: number;
  /** Whether it has child elements or attributes: a record has. */
  isComposite: boolean;
}

const MARKUP =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<(\/?)([A-Za-z_][\w:.-]*)((?:"[^"]*"|'[^']*'|[^"'>])*)>/g;

/**
 * The element of a record in the head of an XML document: of those that repeat and hold something, the outermost; of
 * several there, the most frequent. A name alone where no other element has it, else the path from the root.
 */
export function inferRowElement(text: string): Guess<string> {
  const seen = new Map<string, Seen>();
  const open: string[] = [];
  for (const [, closing, written, attributes = ""] of text.matchAll(MARKUP)) {
    if (written === undefined) continue;
    if (closing === "/") {
      open.pop();
      continue;
    }
    const name = written.replace(/^[^:]*:/, "");
    const path = [...open, name].join(".");
    const parent = seen.get(open.join("."));
    if (parent !== undefined) parent.isComposite = true;
    const here = seen.get(path) ?? { count: 0, depth: open.length, isComposite: false };
    here.count++;
    if (/\w\s*=/.test(attributes.replaceAll(/xmlns(:\w+)?\s*=/g, ""))) here.isComposite = true;
    seen.set(path, here);
    if (!attributes.endsWith("/")) open.push(name);
  }
  const inside = [...seen].filter(([, { depth, isComposite }]) => depth > 0 && isComposite);
  const repeated = inside.filter(([, { count }]) => count > 1);
  const candidates = repeated.length > 0 ? repeated : inside;
  const [best] = candidates.toSorted(([, a], [, b]) => a.depth - b.depth || b.count - a.count);
  if (best === undefined) return guess("row", 0.1, "no element inside the root holds anything");
  const [path, { count }] = best;
  const name = path.slice(path.lastIndexOf(".") + 1);
  const isAlone = [...seen.keys()].filter((other) => other.split(".").at(-1) === name).length === 1;
  const evidence = `${path} stands ${count} times in the sample, with attributes or elements in it`;
  return guess(isAlone ? name : path, count > 1 ? 0.9 : 0.5, evidence);
}
