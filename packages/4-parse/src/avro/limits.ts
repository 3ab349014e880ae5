/** What one Avro file may ask of memory and time, and how its blocks are cut. */
export interface AvroLimits {
  /** Bytes of the schema's JSON in the header; more is `parse.record_too_large`. Default 1 MiB. */
  readonly maxSchemaBytes: number;
  /** Types within types that a schema may have, names that it refers to included. Default 64. */
  readonly maxSchemaDepth: number;
  /** Records, enums and fixed types that a schema defines. Default 2,000. */
  readonly maxNamedTypes: number;
  /** Bytes of the whole header, schema included. Default 4 MiB. */
  readonly maxHeaderBytes: number;
  /** Bytes of one Avro block as it stands in the file. Default 64 MiB. */
  readonly maxCompressedBlockBytes: number;
  /** Bytes of one Avro block when its codec is undone. Default 64 MiB. */
  readonly maxDecompressedBlockBytes: number;
  /** Frames of zstandard in one Avro block; writers make one. Default 1,000. */
  readonly maxFramesPerBlock: number;
  /**
   * Records of one Avro block, and items of its arrays and maps, that take no bytes (null, an empty record): the
   * file pays nothing for their number. Default 65,536 for the block.
   */
  readonly maxEmptyItems: number;
  /** Records, arrays and maps within one another in one record of the file. Default 256. */
  readonly maxDepth: number;
  /** Digits of a decimal. Default 1,000. */
  readonly maxDecimalDigits: number;
  /** Bytes of text that the wanted values of one record take; more is `parse.record_too_large`. Default 16 MiB. */
  readonly maxRecordBytes: number;
  /** A block of ours closes with this many records. Default 65,536. */
  readonly maxBlockRows: number;
  /** A block of ours closes with the record that brings its text to this many bytes. Default 1 MiB. */
  readonly maxBlockBytes: number;
  /** A block of ours closes before it has more cells (records x columns). Default 2 Mi. */
  readonly maxBlockCells: number;
}

export const AVRO_LIMITS: AvroLimits = {
  maxSchemaBytes: 2 ** 20,
  maxSchemaDepth: 64,
  maxNamedTypes: 2000,
  maxHeaderBytes: 4 * 2 ** 20,
  maxCompressedBlockBytes: 64 * 2 ** 20,
  maxDecompressedBlockBytes: 64 * 2 ** 20,
  maxFramesPerBlock: 1000,
  maxEmptyItems: 65_536,
  maxDepth: 256,
  maxDecimalDigits: 1000,
  maxRecordBytes: 16 * 2 ** 20,
  maxBlockRows: 65_536,
  maxBlockBytes: 2 ** 20,
  maxBlockCells: 2 * 2 ** 20,
};
