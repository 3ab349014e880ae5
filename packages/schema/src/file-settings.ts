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
}

export interface ParquetSettings {
  readonly kind: "parquet";
}

export type FormatSettings = DelimitedSettings | ParquetSettings;

/** Stream compression around a file. `auto` opens what the bytes say, and passes plain bytes on. */
export type Compression = "auto" | "none" | "gzip";

/**
 * How to open one file. The layers come off in a fixed order: decrypt, decompress, then the format.
 */
export interface FileSettings {
  /** Present when the file is an OpenPGP message. */
  readonly pgp?: PgpKeys;
  readonly compression: Compression;
  readonly format: FormatSettings;
}

/** The secrets that open an OpenPGP message. Never logged, never in an error. */
export interface PgpKeys {
  /** Armored private key blocks; one block may hold several keys. */
  readonly privateKeyBlocks: readonly string[];
  /** Opens the private keys, and messages encrypted to a passphrase. */
  readonly passphrase?: string;
}
