/**
 * Why the embedded server did not start: the engine's package for this platform is not installed;
 * another process uses the data directory; the server refused to start (a port in use, a damaged
 * data directory); it did not answer in time.
 */
export type LocalClickHouseErrorCode =
  | "engine_missing"
  | "data_dir_in_use"
  | "start_failed"
  | "start_timed_out";

export interface LocalClickHouseErrorOptions extends ErrorOptions {
  /** The end of what the server wrote, for the engineer. */
  readonly logTail?: string;
  /** The process that holds the data directory, where that is the reason. */
  readonly holderPid?: number;
}

/** The message holds no passwords; `logTail`, where present, is part of it. */
export class LocalClickHouseError extends Error {
  override readonly name: string = "LocalClickHouseError";
  readonly code: LocalClickHouseErrorCode;
  readonly logTail: string | undefined;
  readonly holderPid: number | undefined;

  constructor(
    code: LocalClickHouseErrorCode,
    message: string,
    options: LocalClickHouseErrorOptions = {},
  ) {
    const { logTail, holderPid, ...cause } = options;
    super(logTail ? `${message}\nThe end of its log:\n${logTail}` : message, cause);
    this.code = code;
    this.logTail = logTail;
    this.holderPid = holderPid;
  }
}
