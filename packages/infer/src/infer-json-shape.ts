import type { JsonSettings } from "@sluice/schema";
import { type Guess, guess } from "./guess.ts";

export interface JsonShapeGuess {
  readonly shape: Guess<JsonSettings["shape"]>;
  readonly recordPath: Guess<string>;
}

/** What a walk over the head of a JSON file met. */
interface Walked {
  readonly roots: readonly { readonly kind: "{" | "["; readonly hasLineEnd: boolean }[];
  /** Objects in arrays, by the array's path through objects from the first root. */
  readonly arrays: ReadonlyMap<string, number>;
  /** Members of the first root that are neither object nor array. */
  readonly scalars: number;
  /** Whether each root after the first stands on a line of its own. */
  readonly isByLine: boolean;
}

/**
 * How records stand in the head of a JSON file, and where. The head may end anywhere: nothing is checked, brackets
 * and names are followed as far as they go.
 */
export function inferJsonShape(text: string): JsonShapeGuess {
  const { roots, arrays, scalars, isByLine } = walk(text);
  const atRoot = guess("", 0.9, "the records stand at the root");
  const [first, ...others] = roots;
  if (first === undefined) {
    const nothing = "there is neither object nor array";
    return { shape: guess("records", 0.1, nothing), recordPath: guess("", 0.1, nothing) };
  }
  if (others.length > 0) {
    const isLines = isByLine && roots.every(({ kind, hasLineEnd }) => kind === "{" && !hasLineEnd);
    const shape = isLines
      ? guess("lines" as const, 0.98, `${roots.length} objects, each on a line of its own`)
      : guess("concatenated" as const, 0.95, `${roots.length} texts, one after the other`);
    return { shape, recordPath: atRoot };
  }
  if (first.kind === "[") {
    const shape = guess("records" as const, 0.97, "one array at the root");
    return { shape, recordPath: atRoot };
  }
  const shape = guess("records" as const, 0.9, "one object at the root");
  const depth = (path: string): number => path.split(".").length;
  const [found] = [...arrays]
    .filter(([, objects]) => objects > 0)
    .toSorted(([a, m], [b, n]) => depth(a) - depth(b) || n - m);
  if (found === undefined) return { shape, recordPath: guess("", 0.7, "no array of objects") };
  const [path, objects] = found;
  const evidence = `an array of ${objects} objects or more stands at ${path}`;
  // An object with many values of its own and a list in it is rather one record than an envelope.
  return scalars >= 4
    ? { shape, recordPath: guess("", 0.5, `${evidence}, beside ${scalars} values of the root`) }
    : { shape, recordPath: guess(path, objects > 1 ? 0.9 : 0.6, evidence) };
}

interface Container {
  readonly kind: "{" | "[";
  /** Undefined inside of arrays, into which no record path leads. */
  readonly path: string | undefined;
  name: string;
  isName: boolean;
}

const STRING = /"(?:[^"\\]|\\.)*"/sy;

function walk(text: string): Walked {
  const roots: { kind: "{" | "["; hasLineEnd: boolean }[] = [];
  const arrays = new Map<string, number>();
  const stack: Container[] = [];
  let scalars = 0;
  let isByLine = true;
  let rootEnd = 0;

  const open = (kind: "{" | "[", at: number): void => {
    const parent = stack.at(-1);
    if (parent === undefined) {
      if (roots.length > 0 && !/[\r\n]/.test(text.slice(rootEnd, at))) isByLine = false;
      roots.push({ kind, hasLineEnd: false });
    }
    if (kind === "{" && parent?.kind === "[" && parent.path !== undefined) {
      arrays.set(parent.path, (arrays.get(parent.path) ?? 0) + 1);
    }
    const path = pathOf(parent, stack.length, roots.length);
    stack.push({ kind, path, name: "", isName: kind === "{" });
  };
  for (let at = 0; at < text.length; at++) {
    const inner = stack.at(-1);
    const character = text[at];
    switch (character) {
      case "{":
      case "[":
        open(character, at);
        break;
      case "}":
      case "]":
        stack.pop();
        if (stack.length === 0) rootEnd = at;
        break;
      case ",":
        if (inner?.kind === "{") inner.isName = true;
        break;
      case "\n":
      case "\r": {
        const root = roots.at(-1);
        if (root !== undefined && stack.length > 0) root.hasLineEnd = true;
        break;
      }
      case '"': {
        STRING.lastIndex = at;
        const string = STRING.exec(text)?.[0];
        if (string === undefined) return { roots, arrays, scalars, isByLine };
        if (inner?.isName) {
          inner.name = string.slice(1, -1);
          inner.isName = false;
        } else if (stack.length === 1 && roots.length === 1) scalars++;
        at += string.length - 1;
        break;
      }
      default:
        if (
          stack.length === 1 &&
          roots.length === 1 &&
          /[:\s][\dtfn-]/.test(text.slice(at - 1, at + 1))
        ) {
          scalars++;
        }
    }
  }
  return { roots, arrays, scalars, isByLine };
}

/** Only of the first root, and through objects alone. */
function pathOf(parent: Container | undefined, depth: number, roots: number): string | undefined {
  if (parent === undefined) return depth === 0 && roots === 1 ? "" : undefined;
  if (parent.kind === "[" || parent.path === undefined) return undefined;
  const step = /^[^.[\]"\\]+$/.test(parent.name) ? parent.name : JSON.stringify(parent.name);
  return parent.path === "" ? step : `${parent.path}.${step}`;
}
