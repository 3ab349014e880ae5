import type { Damage } from "../damage.ts";
import { decodeUtf8 } from "../utf8.ts";

/** What of a pax extended header (POSIX.1-2001, "pax Extended Header") decides about the entry's bytes. */
export interface PaxFacts {
  readonly path?: string;
  readonly size?: bigint;
  /** The first key by which the data would be a map of holes and pieces, not the file. */
  readonly sparseKey?: string;
}

const SPARSE_KEYS = ["SCHILY.realsize", "SUN.holesdata"];

/** Reads the records `<length> <key>=<value>\n` of one header. The last of several records of a key counts. */
export function parsePax(bytes: Uint8Array, damage: Damage): PaxFacts {
  const facts: { path?: string; size?: bigint; sparseKey?: string } = {};
  for (let at = 0; at < bytes.byteLength; ) {
    const { key, value, end } = record(bytes, at, damage);
    at = end;
    if (key === "path") facts.path = pathOf(value, damage);
    if (key === "size") facts.size = sizeOf(value, damage);
    if (key.startsWith("GNU.sparse.") || SPARSE_KEYS.includes(key)) facts.sparseKey ??= key;
  }
  return facts;
}

interface PaxRecord {
  readonly key: string;
  readonly value: Uint8Array;
  readonly end: number;
}

function record(bytes: Uint8Array, at: number, damage: Damage): PaxRecord {
  const broken = (): Error => damage.corrupt("A pax header has a broken record.");
  // Its length counts the record whole, its own digits included.
  const digits = Buffer.from(bytes.subarray(at, at + 20)).toString("latin1");
  const length = /^([1-9][0-9]*) /.exec(digits)?.[1];
  if (length === undefined) throw broken();
  const start = at + length.length + 1;
  const end = at + Number(length);
  if (end > bytes.byteLength || end <= start || bytes[end - 1] !== 0x0a) throw broken();
  const content = bytes.subarray(start, end - 1);
  const equals = content.indexOf(0x3d);
  if (equals < 1) throw broken();
  const key = decodeUtf8(content.subarray(0, equals));
  if (key === undefined || key.includes("\0")) throw broken();
  return { key, value: content.subarray(equals + 1), end };
}

function pathOf(value: Uint8Array, damage: Damage): string {
  const path = decodeUtf8(value);
  if (path === undefined) throw damage.corrupt("A pax header's path is not UTF-8.");
  if (path === "") throw damage.corrupt("A pax header's path is empty.");
  return path;
}

function sizeOf(value: Uint8Array, damage: Damage): bigint {
  const digits = Buffer.from(value).toString("latin1");
  if (!/^[0-9]{1,100}$/.test(digits)) {
    throw damage.corrupt("A pax header's size is not a number of bytes.");
  }
  return BigInt(digits);
}
