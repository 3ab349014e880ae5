import type { Name, Names } from "./names.ts";
import { type Place, placeOfName, placesOf } from "./places.ts";
import type { RecordPath } from "./record-path.ts";
import {
  IN_DOUBT,
  IS_DECLARING,
  IS_RECORD,
  NAME_BYTES,
  NAME_FLAGS_AT,
  PLACE_BYTES,
  type RecordScanner,
} from "./record-scanner.ts";

/** The names that a scanner knows, and where they lead in records. */
export interface KnownNames {
  /** Of the scanner's memory. */
  readonly bytes: number;
  /** Writes tables at `at`, where all is zeros, and forgets all names; gives the record's place, 0 when records are to be left as marks. */
  write(at: number, words: Int32Array): number;
  /** Learns the name in `from .. to` of the memory; whether it is one, and not too long. */
  learn(memory: Buffer, from: number, to: number): boolean;
  nameAt(address: number): string;
  /** Says that findings know the name. */
  setKnown(address: number, flag: number): void;
}

export const MAX_NAMES = 1024;
export const SPELLING_BYTES: number = 1 << 16;
const TABLE_BYTES: number = MAX_NAMES * 4;
/** Places that lead on: each has two tables. */
const MAX_INNER = 64;
const START =
  ":A-Z_a-z\\u{C0}-\\u{D6}\\u{D8}-\\u{F6}\\u{F8}-\\u{2FF}\\u{370}-\\u{37D}\\u{37F}-\\u{1FFF}\\u{200C}-\\u{200D}" +
  "\\u{2070}-\\u{218F}\\u{2C00}-\\u{2FEF}\\u{3001}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFFD}\\u{10000}-\\u{EFFFF}";
const REST = "\\-.0-9\\u{B7}\\u{300}-\\u{36F}\\u{203F}-\\u{2040}";
/** XML 1.0, fifth edition, production 5. */
export const NAME_PATTERN: RegExp = new RegExp(`^[${START}][${START}${REST}]*$`, "u");

export function createKnownNames(
  scanner: RecordScanner,
  record: Place | undefined,
  names: Names,
  path: RecordPath,
  maxNameBytes: number,
): KnownNames {
  const all = record === undefined ? [] : placesOf(record);
  const inner = all.filter(({ members }) => members.size > 0);
  const isTold = record !== undefined && inner.length <= MAX_INNER;
  const addresses = new Map<Place, number>();
  const tables = new Map<Place, number>();
  let words: Int32Array = new Int32Array(0);
  let first = 0;
  let texts: string[] = [];

  const write = (table: number, id: number, place: Place, name: Name): void => {
    const found = placeOfName(place, name);
    const value = found === "doubt" ? IN_DOUBT : found === undefined ? 0 : addresses.get(found);
    words[(table >> 2) + id] = value ?? 0;
  };

  return {
    bytes: isTold ? TABLE_BYTES * (1 + inner.length * 2) + all.length * PLACE_BYTES : 0,
    write(at, view) {
      words = view;
      first = 0;
      texts = [];
      if (!isTold) return 0;
      // A table of zeros is for all places that lead nowhere.
      let end = at + TABLE_BYTES;
      for (const place of inner) {
        tables.set(place, end);
        end += TABLE_BYTES * 2;
      }
      for (const place of all) {
        addresses.set(place, end);
        const table = tables.get(place);
        words[end >> 2] = place.column;
        words[(end >> 2) + 1] = place.text;
        words[(end >> 2) + 2] = table ?? at;
        words[(end >> 2) + 3] = table === undefined ? at : table + TABLE_BYTES;
        end += PLACE_BYTES;
      }
      return addresses.get(record) ?? 0;
    },
    learn(memory, from, to) {
      if (to - from > maxNameBytes) return false;
      const text = memory.toString("utf8", from, to);
      if (!NAME_PATTERN.test(text)) return false;
      const isDeclaring = text === "xmlns" || text.startsWith("xmlns:") || text.endsWith(":nil");
      const flags = (path.fits(text) ? IS_RECORD : 0) | (isDeclaring ? IS_DECLARING : 0);
      let address = scanner.addName(from, to - from, flags);
      if (address === 0) {
        scanner.forgetNames();
        texts = [];
        for (const table of tables.values()) {
          words.fill(0, table >> 2, (table + TABLE_BYTES * 2) >> 2);
        }
        address = scanner.addName(from, to - from, flags);
      }
      if (texts.length === 0) first = address;
      names.trim();
      const id = texts.push(text) - 1;
      for (const [place, table] of tables) {
        write(table, id, place, names.element(text));
        write(table + TABLE_BYTES, id, place, names.attribute(text));
      }
      return true;
    },
    nameAt: (address) => texts[(address - first) / NAME_BYTES] ?? "",
    setKnown(address, flag) {
      const at = (address + NAME_FLAGS_AT) >> 2;
      words[at] = (words[at] ?? 0) | flag;
    },
  };
}
