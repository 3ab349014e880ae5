/** What one Parquet file may ask of memory and time. Each error names its option. */
export interface ParquetLimits {
  /** A larger footer is `parse.record_too_large`. Default 64 MiB. */
  readonly maxFooterBytes: number;
  /** A larger row group is `parse.record_too_large`. It is streamed, never held. Default 16 GiB. */
  readonly maxRowGroupBytes: number;
  /** A schema of more levels is `parse.record_too_large`. Default 64. */
  readonly maxSchemaDepth: number;
  /** On the Arrow route, which holds it, a larger row group is `parse.record_too_large`. Default 32 MiB. */
  readonly maxDecodedRowGroupBytes: number;
  /** On the Arrow route, a larger page, compressed or not, is `parse.record_too_large`. Default 64 MiB. */
  readonly maxPageBytes: number;
  /** Bytes that the decoder's memory may grow to, where the budget has them; more is `parse.record_too_large`. Default 256 MiB. */
  readonly maxDecoderBytes: number;
  /** A longer run of the decoder for one piece is `parse.decoder_crashed`. Default 5 minutes. */
  readonly decodeTimeoutMs: number;
}

export const PARQUET_LIMITS: ParquetLimits = {
  maxFooterBytes: 2 ** 26,
  maxRowGroupBytes: 2 ** 34,
  maxSchemaDepth: 64,
  maxDecodedRowGroupBytes: 2 ** 25,
  maxPageBytes: 2 ** 26,
  maxDecoderBytes: 2 ** 28,
  decodeTimeoutMs: 300_000,
};
