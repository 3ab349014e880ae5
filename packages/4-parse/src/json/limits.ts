/** What one file of JSON may ask of memory, and how its blocks are cut. Each error names its option. */
export interface JsonLimits {
  /** Objects and arrays inside of each other, counted from the text's root. Default 256. */
  readonly maxDepth: number;
  /** Bytes of one key as it is written, without its quotes. Default 1 KiB. */
  readonly maxKeyBytes: number;
  /** Members of one object. Default 10,000. */
  readonly maxKeys: number;
  /**
   * Bytes of one string or number as it is written, wherever it stands, and of an object or array that
   * becomes a cell. Default 16 MiB.
   */
  readonly maxValueBytes: number;
  /** Bytes of one record as it is written; with shape `lines`, of one line. Default 16 MiB. */
  readonly maxRecordBytes: number;
  /** Bytes of all cells of one row: more than its record has when fields overlap. Default 64 MiB. */
  readonly maxRowBytes: number;
  /** Bytes of all cells of the rows that one record becomes by explodePath. Default 1 GiB. */
  readonly maxExplodedBytes: number;
  /** A block closes with this many rows. Default 65,536. */
  readonly maxBlockRows: number;
  /** A block closes with the row that reaches this many bytes of the file, or of cells. Default 1 MiB. */
  readonly maxBlockBytes: number;
  /** A block closes before it has more cells (rows x columns), empty ones included. Default 2 Mi. */
  readonly maxBlockCells: number;
}

export const JSON_LIMITS: JsonLimits = {
  maxDepth: 256,
  maxKeyBytes: 1024,
  maxKeys: 10_000,
  maxValueBytes: 16 * 2 ** 20,
  maxRecordBytes: 16 * 2 ** 20,
  maxRowBytes: 64 * 2 ** 20,
  maxExplodedBytes: 2 ** 30,
  maxBlockRows: 65_536,
  maxBlockBytes: 2 ** 20,
  maxBlockCells: 2 * 2 ** 20,
};
