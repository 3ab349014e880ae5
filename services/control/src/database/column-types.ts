import { types as pgTypes } from "pg";

/** PostgreSQL's type ids of the columns that the two drivers read differently by themselves. */
const INT8 = 20;
const DATE = 1082;

/**
 * An int8 as a number. Counts of bytes and rows stay far below 2^53; one that does not is an error,
 * never a value that is nearly right.
 */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`int8 ${text} is not a safe integer`);
  }
  return value;
}

/** A day as the text it is: a Date would bring a time zone in. */
const parseDate = (text: string): string => text;

/** For PGlite's `parsers` option. */
export const PGLITE_PARSERS: Record<number, (text: string) => unknown> = {
  [INT8]: parseInt8,
  [DATE]: parseDate,
};

/** For pg's `types` option. */
export const PG_TYPES: { getTypeParser: typeof pgTypes.getTypeParser } = {
  getTypeParser: ((oid: number, format?: "text") =>
    PGLITE_PARSERS[oid] ?? pgTypes.getTypeParser(oid, format)) as typeof pgTypes.getTypeParser,
};
