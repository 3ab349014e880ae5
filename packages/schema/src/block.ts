/**
 * A column of raw text: value i is `data[offsets[i] .. offsets[i + 1])`, UTF-8. This is the layout of
 * an Arrow Utf8 column, so that a record batch takes the buffers as they are.
 */
export interface TextColumn {
  /** rows + 1 positions in `data`, the first 0. */
  readonly offsets: Int32Array;
  readonly data: Uint8Array;
  /** Least significant bit first, 1 = present; undefined when no value is null. */
  readonly validity: Uint8Array | undefined;
  readonly nullCount: number;
}

/** A record that could not be cut into fields. Its cells in the block are null. */
export interface RowFault {
  /** Index within the block, from 0. */
  readonly index: number;
  /** A code of the parse stage. */
  readonly code: string;
  readonly message: string;
  /** The record's own bytes, cut at a limit. */
  readonly raw: Uint8Array;
}

/** Some consecutive records of one entry as raw columns: what 4-parse gives and 5-batch takes. */
export interface Block {
  /** Records in the block, faulty ones included; at least 1. */
  readonly rows: number;
  /** The first record's number in its entry, from 1; header rows do not count. */
  readonly firstRow: number;
  /** One per column name, in the file's order. */
  readonly columns: readonly TextColumn[];
  /** rows values: where each record starts, in bytes of the decompressed entry. */
  readonly byteOffsets: Float64Array;
  /** In order of their index. */
  readonly faults: readonly RowFault[];
  /**
   * Frees the columns and byte offsets at once, for whoever looks at them no more. A block that is not released is left to the
   * garbage collector, which blocks keep busy.
   */
  release?(this: Block): void;
}

/** A column as it stands in a file. */
export interface SourceColumn {
  /** As the file spells it; columns without a header are `column_1`, `column_2`, ... */
  readonly name: string;
  /** The field path that it was cut out by; undefined for a column of the file itself. */
  readonly path?: string;
  /**
   * The ClickHouse type that holds the file's values exactly: `Nullable(String)` for text formats. Blocks hold
   * text whatever the type: numbers in decimal, booleans as `true` and `false`, uuids as usual, Date32 as
   * days and DateTime64(s) as ticks since 1970, both in decimal. `Int96` is no type of ClickHouse's: it says
   * of a Parquet column that its values are INT96 timestamps, nanoseconds of more years than DateTime64(9) has.
   */
  readonly type: string;
}

/** What of a feed's field a format with nested or named values looks for. */
export interface WantedField {
  readonly incomingName: string;
  /** See `Field.path`; empty for the whole record, as JSON text. */
  readonly path?: string;
}

/** A parsed entry: its columns are known before the first block is read. */
export interface ParsedEntry {
  readonly columns: readonly SourceColumn[];
  readonly blocks: AsyncIterable<Block>;
  /** What only the whole entry could tell. Asked once, after the last block; absent when the columns stand in a header. */
  readonly findings?: () => Findings;
}

/** What was seen of an entry whose records name their own fields. */
export interface Findings {
  /** Indexes of columns that no record had. */
  readonly absent: readonly number[];
  /** Names of members that no field takes: the first 100. */
  readonly extra: readonly string[];
  /** What changed no row but should be known, in words with counts: keys given twice, empty arrays that gave no row. */
  readonly warnings: readonly string[];
}

/** One file inside an object: for an object that is no archive, the object itself under an empty name. */
export interface Entry {
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * The unit of loading: a complete Arrow IPC stream of one record batch. Its borders depend on bytes
 * and settings alone, so that the same object gives the same batches for ever.
 *
 * Its columns: `c<i>` Utf8, nullable, for each chosen source column i (from 0); `_row` UInt64, the
 * record's number; `_offset` UInt64, its byte offset; `_fault_code`, `_fault_message`, `_fault_raw`
 * Utf8, nullable, set together for a record that could not be cut into fields.
 */
export interface Batch {
  /** Counts the batches of one entry from 0. */
  readonly ordinal: number;
  readonly firstRow: number;
  readonly rows: number;
  /** The stream in pieces, one behind the other: views on the blocks where these are large. */
  readonly body: readonly Uint8Array[];
  /** Bytes of the whole stream. */
  readonly byteLength: number;
  /** Frees the body and gives its bytes back to the budget. Called once, when nobody reads the body any more. */
  readonly release: () => void;
}

/**
 * A unit of loading with columns of its own types: a complete Parquet file of one row group, made of the
 * object's own bytes and a footer that names that row group alone; or, decoded, an Arrow IPC stream of it.
 */
export interface Slice {
  readonly format: "Parquet" | "ArrowStream";
  /** Counts the slices of one entry from 0. */
  readonly ordinal: number;
  readonly firstRow: number;
  readonly rows: number;
  /** Bytes of the whole slice. */
  readonly byteLength: number;
  /** Where the row group starts in the file, in bytes. */
  readonly byteOffset: number;
  /** A pure function of the bytes: with the object's ETag it stands for their hash. */
  readonly identity: string;
  /** The slice's bytes, read anew at each call. */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Set where the bytes are held in memory: gives them back to the budget. Called once, when they are no longer needed. */
  readonly release?: () => void;
}
