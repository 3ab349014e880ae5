import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  ActionKind,
  Retry,
  Stage,
  type StageFailure,
  StageFailureSchema,
} from "@sluice/api/control/v1/failure_pb";
import {
  type ActionKind as ActionWord,
  codeFacts,
  type Retry as RetryWord,
  STAGES,
  type StageError,
  type Stage as StageWord,
} from "@sluice/errors";

const STAGE: Record<StageWord, Stage> = {
  connect: Stage.CONNECT,
  list: Stage.LIST,
  fetch: Stage.FETCH,
  decrypt: Stage.DECRYPT,
  decompress: Stage.DECOMPRESS,
  parse: Stage.PARSE,
  cast: Stage.CAST,
  load: Stage.LOAD,
  publish: Stage.PUBLISH,
};

const RETRY: Record<RetryWord, Retry> = {
  automatic: Retry.AUTOMATIC,
  after_change: Retry.AFTER_CHANGE,
  never: Retry.NEVER,
};

const ACTION: Record<ActionWord, ActionKind> = {
  bad_archive: ActionKind.BAD_ARCHIVE,
  invalid_bucket_name: ActionKind.INVALID_BUCKET_NAME,
  invalid_credentials: ActionKind.INVALID_CREDENTIALS,
  missing_file: ActionKind.MISSING_FILE,
  pgp_error: ActionKind.PGP_ERROR,
  unable_to_decompress: ActionKind.UNABLE_TO_DECOMPRESS,
  fix_file_or_settings: ActionKind.FIX_FILE_OR_SETTINGS,
  schema_mismatch: ActionKind.SCHEMA_MISMATCH,
  threshold_exceeded: ActionKind.THRESHOLD_EXCEEDED,
  retry: ActionKind.RETRY,
  restart: ActionKind.RESTART,
};

/** A failure as the API tells it, with what to do next. */
export function toStageFailure(error: StageError): StageFailure {
  const { coordinate } = error;
  return completeFailure(
    create(StageFailureSchema, {
      stage: STAGE[error.stage],
      code: error.code,
      retry: RETRY[error.retry],
      message: error.rawMessage,
      coordinate: {
        ...(coordinate.bucket === undefined ? {} : { bucket: coordinate.bucket }),
        ...(coordinate.key === undefined ? {} : { key: coordinate.key }),
        ...(coordinate.column === undefined ? {} : { column: coordinate.column }),
      },
      seen: error.seen ?? "",
      expected: error.expected ?? "",
    }),
  );
}

/**
 * Fills in what follows from stage and code alone, where it is not set: whether to retry, what to do,
 * and the workflow action. So advice is the same whoever reported the failure.
 */
export function completeFailure(failure: StageFailure): StageFailure {
  const stage = stageWord(failure.stage);
  const facts = stage === undefined ? undefined : codeFacts(stage, failure.code);
  if (facts === undefined) {
    return failure;
  }
  return {
    ...failure,
    retry: failure.retry === Retry.UNSPECIFIED ? RETRY[facts.retry] : failure.retry,
    advice: failure.advice === "" ? facts.advice : failure.advice,
    action:
      failure.action === ActionKind.UNSPECIFIED && facts.action !== undefined
        ? ACTION[facts.action]
        : failure.action,
  };
}

/** A stage as @sluice/errors spells it; undefined when it is not set. */
function stageWord(stage: Stage): StageWord | undefined {
  return STAGES.find((word) => STAGE[word] === stage);
}

/** "[connect/invalid_credentials]": how a failure is named in one line. */
export function failureLabel(failure: StageFailure): string {
  return `[${stageWord(failure.stage) ?? "unknown"}/${failure.code}]`;
}

/**
 * The error a call ends with because of a failure, the failure being its detail. PERMISSION_DENIED and
 * UNAUTHENTICATED are never used: they speak of the caller's rights to this API, and a bucket that
 * refuses the platform is the state of the world.
 */
export function failureError(failure: StageFailure, cause?: unknown): ConnectError {
  const complete = completeFailure(failure);
  return new ConnectError(
    `${failureLabel(complete)} ${complete.message}`,
    failureCode(complete),
    undefined,
    [{ desc: StageFailureSchema, value: complete }],
    cause,
  );
}

function failureCode(failure: StageFailure): Code {
  if (failure.retry === Retry.AUTOMATIC) {
    return Code.Unavailable;
  }
  switch (failure.code) {
    case "limit_exceeded":
    case "record_too_large":
      return Code.ResourceExhausted;
    case "invalid_bucket_name":
    case "endpoint_refused":
    case "pattern_invalid":
    case "bad_passphrase":
      return Code.InvalidArgument;
    case "file_not_found":
    case "bucket_not_found":
    case "object_deleted":
    case "entry_missing":
      return Code.NotFound;
    case "object_changed":
    case "conflict":
      return Code.Aborted;
    default:
      return Code.FailedPrecondition;
  }
}
