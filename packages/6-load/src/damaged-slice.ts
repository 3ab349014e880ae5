import { StageError } from "@sluice/errors";
import { ClickHouseAnswerError } from "./translate-clickhouse-error.ts";

/**
 * What ClickHouse's readers of Parquet and Arrow say of bytes that are damaged (found by flipping and
 * cutting bytes of files in every codec; the rest are the codecs' own): they will say it again.
 */
const DAMAGE_CODES: ReadonlySet<number> = new Set([
  // INCORRECT_DATA, STD_EXCEPTION (Thrift's), UNKNOWN_EXCEPTION, PARQUET_EXCEPTION.
  117, 1001, 1002, 723,
  // ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ALL_DATA, CANNOT_PARSE_INPUT_ASSERTION_FAILED.
  32, 33, 27,
  // CANNOT_DECOMPRESS, CHECKSUM_DOESNT_MATCH, CORRUPTED_DATA, TOO_LARGE_SIZE_COMPRESSED.
  271, 40, 246, 39,
  // ZLIB_INFLATE_FAILED, BROTLI_READ_FAILED, ZSTD_DECODER_FAILED, LZ4_DECODER_FAILED, SNAPPY_UNCOMPRESS_FAILED.
  354,
  448, 561, 618, 638,
  // TOO_LARGE_STRING_SIZE, TOO_LARGE_ARRAY_SIZE, SIZES_OF_ARRAYS_DONT_MATCH, SIZES_OF_NESTED_COLUMNS_ARE_INCONSISTENT.
  131,
  128, 190, 366,
]);

/** NOT_IMPLEMENTED: a sound file with something that this reader does not do. */
const NOT_IMPLEMENTED = 48;

/**
 * A refusal of a slice that lies in its bytes, as an error of the parse stage; undefined for any other.
 * Only an answer to a body that was sent whole says something of the bytes.
 */
export function damageOf(error: unknown): StageError<"parse"> | undefined {
  const answer = error instanceof StageError ? error.cause : error;
  if (!(answer instanceof ClickHouseAnswerError) || !answer.bodySent) return undefined;
  const code = answer.exceptionCode;
  if (code === NOT_IMPLEMENTED) {
    return new StageError(
      "parse",
      "unsupported_feature",
      `ClickHouse's reader does not know something in these rows (exception ${code})`,
      { cause: error },
    );
  }
  if (code === undefined || !DAMAGE_CODES.has(code)) return undefined;
  return new StageError(
    "parse",
    "malformed",
    `ClickHouse cannot read these rows: the file is damaged here (exception ${code})`,
    { cause: error },
  );
}
