import { type ColumnBuilder, forgetCell, setNullCell } from "../blocks/column-builder.ts";
import type { Want } from "./columns.ts";
import { assertPartEnd, assertWithin, type Part, readLength, readPart } from "./cursor.ts";
import type { Decoder, Step } from "./decoder.ts";
import { take } from "./scalar.ts";

interface Taken {
  readonly step: Step;
  readonly columns: readonly ColumnBuilder[];
}

/**
 * Makes the step that reads a map for some of its keys: an exact one is taken before one that differs by case, and of
 * a key that stands twice the last, as readers that make an object of it do.
 */
export function compileKeys(
  decoder: Decoder,
  skip: Step,
  wanted: ReadonlyMap<string, Want>,
  compile: (part: Want) => Taken,
): Step {
  const { cursor, rows, limits } = decoder;
  const exact = new Map<string, number>();
  const folded = new Map<string, number[]>();
  const parts: Taken[] = [];
  for (const [key, want] of wanted) {
    exact.set(key, parts.length);
    const others = folded.get(key.toLowerCase());
    if (others === undefined) folded.set(key.toLowerCase(), [parts.length]);
    else others.push(parts.length);
    parts.push(compile(want));
  }
  const NONE = 0;
  const BY_CASE = 1;
  const EXACT = 2;

  return () => {
    const found = new Uint8Array(parts.length);
    const read = (index: number, how: number, from: number): void => {
      if ((found[index] ?? NONE) > how) return;
      const { step, columns } = parts[index] ?? { step: skip, columns: [] };
      if (found[index] !== NONE) for (const column of columns) forgetCell(rows, column);
      found[index] = how;
      cursor.at = from;
      step();
    };
    const part: Part = { count: 0, partEnd: -1 };
    for (;;) {
      readPart(cursor, part, false, limits);
      if (part.count === 0) break;
      for (let left = part.count; left > 0; left--) {
        const length = readLength(cursor);
        const at = take(decoder, length);
        const { buffer, byteOffset } = cursor.bytes;
        const key = Buffer.from(buffer, byteOffset + at, length).toString();
        const from = cursor.at;
        const { emptyItems } = cursor;
        skip();
        const end = cursor.at;
        assertWithin(cursor);
        cursor.emptyItems = emptyItems;
        const index = exact.get(key);
        if (index !== undefined) read(index, EXACT, from);
        for (const other of folded.get(key.toLowerCase()) ?? []) {
          if (other !== index) read(other, BY_CASE, from);
        }
        cursor.at = end;
      }
      assertPartEnd(cursor, part);
    }
    for (const [index, { columns }] of parts.entries()) {
      if (found[index] === NONE) for (const column of columns) setNullCell(rows, column);
    }
  };
}
