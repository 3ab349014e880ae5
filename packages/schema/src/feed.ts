/** The logical type of a field. Integers are 64 bit; decimals hold at most 38 digits; datetimes are UTC. */
export type FieldType =
  | { readonly kind: "boolean" }
  | { readonly kind: "date" }
  | { readonly kind: "datetime" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "float" }
  | { readonly kind: "integer" }
  | { readonly kind: "string" };

/** One column of a feed. */
export interface Field {
  /** The column's name in the file; matched without regard to case. */
  readonly incomingName: string;
  /**
   * Where the value stands in a record of a nested format, as `parseFieldPath` reads it; without it the
   * incoming name is a member of the record itself.
   */
  readonly path?: string;
  /** The column's name in the domain table: `[A-Za-z0-9_]+`. */
  readonly name: string;
  readonly type: FieldType;
  /** Joda-style pattern of a date or datetime; without it the documented formats are tried in order. */
  readonly format?: string;
  /** IANA zone of a datetime whose text names none, `Europe/Berlin`; UTC without it. */
  readonly timeZone?: string;
  /** Words of a boolean, matched without regard to case; without them the documented ones. */
  readonly trueWords?: readonly string[];
  readonly falseWords?: readonly string[];
  /** The character between groups of three digits in numbers, which is then allowed: `,`, `.`, a blank, `'` or `_`. */
  readonly thousandsSeparator?: string;
  /** The character before a number's fraction: `.` without it, or `,`. */
  readonly decimalSeparator?: string;
  /** Whether blanks around a value are cut off before anything else. */
  readonly trim?: boolean;
  /** Whether an empty text is null in a string field; in all others it always is. */
  readonly emptyIsNull?: boolean;
  /**
   * When set, the value is where the row comes from: the object's key, the archive's entry, or the row's number in
   * its file, from 1. No column of the file is looked for.
   */
  readonly lineage?: "file" | "entry" | "row";
  /** What becomes of NaN and the infinities in a float field: refused (the default), null, or kept. */
  readonly nonFinite?: "reject" | "null" | "keep";
  readonly semanticTags: readonly string[];
  /** Whether the field is loaded at all. */
  readonly include: boolean;
  /** Whether a file without this column is refused. An absent optional column loads as null. */
  readonly require: boolean;
}

/** How to load into one domain table: one version of a feed, as it was when the workflow began. */
export interface Feed {
  readonly id: string;
  /** The source's name: the ClickHouse database of the domain table. */
  readonly source: string;
  /** The feed's name: the domain table's. */
  readonly name: string;
  readonly version: number;
  readonly fields: readonly Field[];
  /** Names (not incoming names) of the fields that identify a row; at least one. */
  readonly primaryKey: readonly string[];
  /** Name of the datetime or integer field that decides which of two rows is newer; absent = generated. */
  readonly lastUpdatedField?: string;
  /** Share of rejected rows, in percent of all rows of a load, above which the load fails. */
  readonly errorThresholdPercent: number;
  /** Whether the rows stand in the source's view for identity resolution. */
  readonly makeAvailableToStitch: boolean;
}

/** What a load does to the domain table: upsert on the primary key, or replace all rows. */
export type LoadOperation = "load" | "truncate_and_load";
