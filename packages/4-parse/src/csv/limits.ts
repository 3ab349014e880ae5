/**
 * What one file of delimited text may ask of memory, and how its blocks are cut. Bytes are counted in UTF-8, in
 * which a file of another encoding is cut.
 */
export interface DelimitedLimits {
  /** Bytes of one field's value; more is `parse.record_too_large`. Default 16 MiB. */
  readonly maxFieldBytes: number;
  /** Bytes of one record with its marks and its line end; more is `parse.record_too_large`. Default 16 MiB. */
  readonly maxRecordBytes: number;
  /** Default 10,000. */
  readonly maxColumns: number;
  /** Bytes of one name in the header. Default 1 KiB. */
  readonly maxHeaderNameBytes: number;
  /** A block closes with this many records. Default 65,536. */
  readonly maxBlockRows: number;
  /** A block closes with the record that reaches this many bytes. Default 1 MiB. */
  readonly maxBlockBytes: number;
  /** A block closes before it has more cells (records x columns), empty ones included. Default 2 Mi. */
  readonly maxBlockCells: number;
}

export const DELIMITED_LIMITS: DelimitedLimits = {
  maxFieldBytes: 16 * 2 ** 20,
  maxRecordBytes: 16 * 2 ** 20,
  maxColumns: 10_000,
  maxHeaderNameBytes: 1024,
  maxBlockRows: 65_536,
  maxBlockBytes: 2 ** 20,
  maxBlockCells: 2 * 2 ** 20,
};
