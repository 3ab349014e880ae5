/** What one XML document may ask of memory, and how its blocks are cut. Each error names its option. */
export interface XmlLimits {
  /** Elements inside of each other, the root counted. Default 256. */
  readonly maxDepth: number;
  /** Attributes of one element, namespace declarations counted. Default 1,000. */
  readonly maxAttributes: number;
  /** Bytes in UTF-8 of one element's or attribute's name, with its prefix. Default 1 KiB. */
  readonly maxNameBytes: number;
  /**
   * Characters (UTF-16 code units), as they are written, of one text, or of one tag, comment, CDATA section
   * or instruction with its marks, wherever it stands. Default 16 Mi.
   */
  readonly maxTextLength: number;
  /** Bytes of one record as it stands in the file, from its start tag through its end tag. Default 16 MiB. */
  readonly maxRecordBytes: number;
  /** Elements and attributes of one record: each takes far more memory than its bytes. Default 250,000. */
  readonly maxMembers: number;
  /** Bytes of all cells of one row: more than its record has when fields overlap. Default 64 MiB. */
  readonly maxRowBytes: number;
  /** Bytes of all cells of the rows that one record becomes by explodePath. Default 1 GiB. */
  readonly maxExplodedBytes: number;
  /** A block closes with this many rows. Default 65,536. */
  readonly maxBlockRows: number;
  /** A block closes with the row that reaches this many bytes of cells. Default 1 MiB. */
  readonly maxBlockBytes: number;
  /** A block closes before it has more cells (rows x columns), empty ones included. Default 2 Mi. */
  readonly maxBlockCells: number;
}

export const XML_LIMITS: XmlLimits = {
  maxDepth: 256,
  maxAttributes: 1000,
  maxNameBytes: 1024,
  maxTextLength: 16 * 2 ** 20,
  maxRecordBytes: 16 * 2 ** 20,
  maxMembers: 250_000,
  maxRowBytes: 64 * 2 ** 20,
  maxExplodedBytes: 2 ** 30,
  maxBlockRows: 65_536,
  maxBlockBytes: 2 ** 20,
  maxBlockCells: 2 * 2 ** 20,
};
