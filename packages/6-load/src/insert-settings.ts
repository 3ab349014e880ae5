import { JSON_TEXT_SETTINGS } from "./cast/native-path.ts";

/** What the casts mean must not depend on the profile of a user. */
export const CAST_SETTINGS: Readonly<Record<string, string>> = {
  session_timezone: "UTC",
  output_format_decimal_trailing_zeros: "0",
  date_time_input_format: "basic",
  date_time_output_format: "simple",
  cast_keep_nullable: "0",
  transform_null_in: "0",
  ...JSON_TEXT_SETTINGS,
  // A feed of hundreds of fields makes a long statement, which is ours: the limits are against other people's.
  max_ast_elements: "10000000",
  max_expanded_ast_elements: "10000000",
  // The casts are total, so nothing needs to be spared, and shared parts are computed once.
  short_circuit_function_evaluation: "disable",
};

/**
 * One insert is one block and one part, in the order of the file: whole or not at all. Squashing ends at
 * the end of the body alone; threads are one, since several inserts run side by side anyway.
 */
export const INSERT_SETTINGS: Readonly<Record<string, string>> = {
  ...CAST_SETTINGS,
  async_insert: "0",
  wait_end_of_query: "1",
  max_threads: "1",
  max_insert_threads: "1",
  max_parsing_threads: "1",
  max_insert_block_size: "1000000000",
  max_block_size: "1000000",
  min_insert_block_size_rows: "1000000000",
  min_insert_block_size_bytes: "0",
  input_format_parquet_preserve_order: "1",
  input_format_parquet_max_block_size: "1000000",
  // ReplacingMergeTree would collapse rows of one key before they are counted.
  optimize_on_insert: "0",
};
