import { type Code, StageError } from "@sluice/errors";

/** The codes that an answer, or its absence, can have. */
type AnswerCode = Exclude<
  Code<"load">,
  "worker_lost" | "query_invalid" | "query_forbidden" | "query_failed"
>;

/**
 * ClickHouse's exception codes (src/Common/ErrorCodes.cpp) that are not simply a refused statement.
 * Codes with an automatic retry may have been carried out: whoever repeats them must be able to.
 */
const BY_EXCEPTION_CODE: ReadonlyMap<number, AnswerCode> = new Map<number, AnswerCode>([
  // The server is merging; inserts pass again once it has.
  [252, "too_many_parts"],
  // MEMORY_LIMIT_EXCEEDED, CANNOT_ALLOCATE_MEMORY.
  [241, "out_of_memory"],
  [173, "out_of_memory"],
  // TIMEOUT_EXCEEDED, SOCKET_TIMEOUT.
  [159, "timeout"],
  [209, "timeout"],
  // NETWORK_ERROR, ABORTED, QUERY_WAS_CANCELLED, TOO_MANY_SIMULTANEOUS_QUERIES: the server or a
  // person ended the query, not its content.
  [210, "unavailable"],
  [236, "unavailable"],
  [394, "unavailable"],
  [202, "unavailable"],
  // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: our own earlier try has not ended yet.
  [216, "unavailable"],
  // NOT_ENOUGH_SPACE, READONLY, TABLE_IS_READ_ONLY, KEEPER_EXCEPTION: an operator's disk or quorum heals.
  [243, "unavailable"],
  [242, "unavailable"],
  [999, "unavailable"],
  // A connection cut in the middle of a body reads as an incomplete one: ATTEMPT_TO_READ_AFTER_EOF,
  // CANNOT_READ_ALL_DATA. The request's length was not met, so nothing was written. (Of a slice that was
  // sent whole they say that it is damaged: see damageOf.)
  [32, "unavailable"],
  [33, "unavailable"],
  // ACCESS_DENIED, AUTHENTICATION_FAILED, UNKNOWN_USER, REQUIRED_PASSWORD, READONLY.
  [497, "access_denied"],
  [516, "access_denied"],
  [192, "access_denied"],
  [194, "access_denied"],
  [164, "access_denied"],
  // UNKNOWN_TABLE, UNKNOWN_DATABASE, NO_SUCH_COLUMN_IN_TABLE, NOT_FOUND_COLUMN_IN_BLOCK,
  // TABLE_IS_DROPPED, INCOMPATIBLE_COLUMNS: someone altered or dropped what was prepared.
  [60, "table_changed"],
  [81, "table_changed"],
  [16, "table_changed"],
  [10, "table_changed"],
  [218, "table_changed"],
  [122, "table_changed"],
]);

const MESSAGES: Readonly<Record<AnswerCode, string>> = {
  unavailable: "ClickHouse did not answer, or could not carry out the request now",
  too_many_parts: "ClickHouse has too many parts to merge before it takes more rows",
  out_of_memory: "ClickHouse ran out of memory for the request",
  timeout: "ClickHouse did not finish the request in time",
  rejected: "ClickHouse refused the request",
  table_changed: "a table or column that was prepared for the load is not there any more",
  access_denied: "ClickHouse refused the loader's user",
};

/** What ClickHouse answered: its own text, which may quote row data and stays with the cause. */
export class ClickHouseAnswerError extends Error {
  override readonly name: string = "ClickHouseAnswerError";
  readonly status: number | undefined;
  readonly exceptionCode: number | undefined;
  /** Whether the request's body had been sent to its end when the answer came. */
  readonly bodySent: boolean;

  constructor(
    text: string,
    status: number | undefined,
    exceptionCode: number | undefined,
    bodySent: boolean = false,
  ) {
    super(text);
    this.bodySent = bodySent;
    this.status = status;
    this.exceptionCode = exceptionCode;
  }
}

/** The number in front of an exception's text: "Code: 241. DB::Exception: ...". */
export function exceptionCodeOf(text: string): number | undefined {
  const found = /Code: (\d+)\./.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** The numeric code of an error of the client library or of the insert path, if the server gave one. */
function serverCode(error: unknown): number | undefined {
  if (error instanceof ClickHouseAnswerError) return error.exceptionCode;
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  const code = Number(error.code);
  return Number.isInteger(code) ? code : undefined;
}

export const UNKNOWN_TABLE = 60;
export const TABLE_ALREADY_EXISTS = 57;

/** The exception code, whatever layer of our own error carries it. */
export function clickHouseCodeOf(error: unknown): number | undefined {
  return serverCode(error) ?? (error instanceof Error ? serverCode(error.cause) : undefined);
}

/** What the server said, whatever layer of our own error carries it. It may hold row data. */
export function clickHouseTextOf(error: unknown): string | undefined {
  if (serverCode(error) !== undefined) return error instanceof Error ? error.message : undefined;
  return error instanceof Error && error.cause !== undefined
    ? clickHouseTextOf(error.cause)
    : undefined;
}

/**
 * Any failure of a request as a StageError. The message names the exception's code and never its text,
 * which may hold row data; the text stays with the cause.
 */
export function translateClickHouseError(error: unknown): StageError {
  if (error instanceof StageError) return error;
  const exceptionCode = serverCode(error);
  if (exceptionCode !== undefined) {
    const code = BY_EXCEPTION_CODE.get(exceptionCode) ?? "rejected";
    return new StageError("load", code, `${MESSAGES[code]} (exception ${exceptionCode})`, {
      cause: error,
    });
  }
  if (error instanceof ClickHouseAnswerError && error.status !== undefined) {
    // No exception code: a proxy answered, or the server died while it wrote.
    const code: AnswerCode =
      error.status === 401 || error.status === 403
        ? "access_denied"
        : error.status >= 500 || error.status === 429 || error.status < 400
          ? "unavailable"
          : "rejected";
    return new StageError("load", code, `${MESSAGES[code]} (HTTP ${error.status})`, {
      cause: error,
    });
  }
  if (error instanceof Error && /timeout/i.test(error.message)) {
    return new StageError("load", "timeout", MESSAGES.timeout, { cause: error });
  }
  return new StageError("load", "unavailable", MESSAGES.unavailable, { cause: error });
}
