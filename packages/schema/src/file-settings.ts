/** How a file of delimited text is cut into fields. */
export interface DelimitedSettings {
  readonly kind: "delimited";
  /** One or more characters between fields. */
  readonly delimiter: string;
  /** One character around fields, or empty for none. */
  readonly quote: string;
  /** The character before a quote inside a quoted field; the quote itself means doubling. Empty for none. */
  readonly escape: string;
  /** Lines with names: 1 or 0. With 0 the columns are named by position: `column_1`, `column_2`, ... */
  readonly headerRows: number;
  /** Lines to pass over before the header. */
  readonly skipRows: number;
  /** An unquoted field of exactly this text is null. */
  readonly nullText: string;
  /** What ends a record and each line to pass over. Not set: LF, CRLF and a lone CR do. */
  readonly recordDelimiter?: string;
  /** Where a record could begin, this begins a line that is passed over. Not set for none. */
  readonly comment?: string;
  /** How characters are written as bytes. A byte order mark of UTF-8 or UTF-16 is believed before `utf-8`. */
  readonly encoding: TextEncoding;
}

export type TextEncoding = "utf-8" | "utf-16le" | "utf-16be" | "latin-1" | "windows-1252";

/** JSON texts (RFC 8259), always UTF-8. */
export interface JsonSettings {
  readonly kind: "json";
  /**
   * `records`: one text that is an array of records, or one record; `lines`: one record on each line;
   * `concatenated`: texts one after the other, each a record or an array of them.
   */
  readonly shape: "records" | "lines" | "concatenated";
  /** Path from a text's root to its record or array of records; empty for the root itself. */
  readonly recordPath: string;
  /** Path of an array in each record: each of its elements becomes a row. Empty for one row a record. */
  readonly explodePath: string;
}

export interface XmlSettings {
  readonly kind: "xml";
  /** A record's element: its name, wherever it stands, or a path from the root, `orders.order`. */
  readonly rowElement: string;
  /** As in JSON: a repeated element of each record, of which each becomes a row. */
  readonly explodePath: string;
}

/** Avro object container files describe themselves. */
export interface AvroSettings {
  readonly kind: "avro";
}

/** Parquet files describe themselves. */
export interface ParquetSettings {
  readonly kind: "parquet";
}

export type FormatSettings =
  | DelimitedSettings
  | JsonSettings
  | XmlSettings
  | AvroSettings
  | ParquetSettings;

/** What holds several files. */
export interface ArchiveSettings {
  readonly kind: "zip" | "tar";
  /** What is wanted of it, in no order; an entry that none of them selects is passed over. */
  readonly entries: readonly EntrySettings[];
}

/** Files inside an archive that are opened alike. */
export interface EntrySettings {
  /** What load operations call them. */
  readonly tag: string;
  readonly selection: EntrySelection;
  /** Whether the archive may be without them. */
  readonly isOptional: boolean;
  /** Whether this load wants them: what is only required to be there is not read. */
  readonly isLoaded: boolean;
  readonly settings: FileSettings;
}

/** `pattern` is a file pattern: literals in quotes, `*`, and the date parts of the object's day. */
export type EntrySelection =
  | { readonly kind: "every" }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "pattern"; readonly pattern: string };

/** Stream compressions that can be opened. */
export const COMPRESSIONS = [
  "gzip",
  "zstd",
  "bzip2",
  "xz",
  "lz4",
  "snappy",
  "brotli",
  "deflate",
] as const;

/**
 * Stream compression around a file. `auto` opens what the bytes say, and passes plain bytes on; brotli
 * and deflate (zlib's format) cannot be told from their bytes and have to be named.
 */
export type Compression = "auto" | "none" | (typeof COMPRESSIONS)[number];

/**
 * How to open one file. The layers come off in a fixed order: decrypt, decompress, then the content:
 * a format, or an archive whose entries have settings of their own.
 */
export interface FileSettings {
  /** Present when the file is an OpenPGP message. */
  readonly pgp?: PgpKeys;
  readonly compression: Compression;
  readonly content: FormatSettings | ArchiveSettings;
}

/** The secrets that open an OpenPGP message, and whose signature it must bear. Never logged, never in an error. */
export interface PgpKeys {
  /** Armored private key blocks; one block may hold several keys. */
  readonly privateKeyBlocks: readonly string[];
  /** Opens the private keys, and messages encrypted to a passphrase. */
  readonly passphrase?: string;
  /** Armored public keys. When there are any, every message must bear a valid signature by one of them. */
  readonly signerPublicKeys?: readonly string[];
}
