import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ActionKind as ActionKindMessage,
  Retry as RetryMessage,
  type StageFailure as StageFailureMessage,
  StageFailureSchema,
  Stage as StageMessage,
} from "@sluice/api/control/v1/failure_pb";
import {
  type ActionKind,
  codeFacts,
  type Retry,
  type Stage,
  type StageFailure,
} from "@sluice/errors";

/** Translates the stages' plain words into messages for control. */

export const STAGE_MESSAGES: Record<Stage, StageMessage> = {
  connect: StageMessage.CONNECT,
  list: StageMessage.LIST,
  fetch: StageMessage.FETCH,
  decrypt: StageMessage.DECRYPT,
  decompress: StageMessage.DECOMPRESS,
  parse: StageMessage.PARSE,
  cast: StageMessage.CAST,
  load: StageMessage.LOAD,
  publish: StageMessage.PUBLISH,
};

const RETRIES: Record<Retry, RetryMessage> = {
  automatic: RetryMessage.AUTOMATIC,
  after_change: RetryMessage.AFTER_CHANGE,
  never: RetryMessage.NEVER,
};

const ACTIONS: Record<ActionKind, ActionKindMessage> = {
  bad_archive: ActionKindMessage.BAD_ARCHIVE,
  invalid_bucket_name: ActionKindMessage.INVALID_BUCKET_NAME,
  invalid_credentials: ActionKindMessage.INVALID_CREDENTIALS,
  missing_file: ActionKindMessage.MISSING_FILE,
  pgp_error: ActionKindMessage.PGP_ERROR,
  unable_to_decompress: ActionKindMessage.UNABLE_TO_DECOMPRESS,
  fix_file_or_settings: ActionKindMessage.FIX_FILE_OR_SETTINGS,
  schema_mismatch: ActionKindMessage.SCHEMA_MISMATCH,
  threshold_exceeded: ActionKindMessage.THRESHOLD_EXCEEDED,
  retry: ActionKindMessage.RETRY,
  restart: ActionKindMessage.RESTART,
};

export function toStageFailure(failure: StageFailure): StageFailureMessage {
  const { stage, code, coordinate } = failure;
  const facts = codeFacts(stage, code);
  const place: MessageInitShape<typeof StageFailureSchema>["coordinate"] = {
    bucket: coordinate.bucket ?? "",
    key: coordinate.key ?? "",
    etag: coordinate.etag ?? "",
    versionId: coordinate.versionId ?? "",
    layers: (coordinate.layers ?? []).map((layer) => ({
      kind: layer.kind,
      name: layer.name ?? "",
      offset: BigInt(layer.offset ?? 0),
    })),
    entry: coordinate.entry ?? "",
    column: coordinate.column ?? "",
    ...(coordinate.row === undefined ? {} : { row: BigInt(coordinate.row) }),
    ...(coordinate.byteOffset === undefined ? {} : { byteOffset: BigInt(coordinate.byteOffset) }),
  };
  return create(StageFailureSchema, {
    stage: STAGE_MESSAGES[stage],
    code,
    retry: RETRIES[failure.retry],
    message: failure.message,
    advice: facts?.advice ?? "",
    coordinate: place,
    seen: failure.seen ?? "",
    expected: failure.expected ?? "",
    action: facts?.action === undefined ? ActionKindMessage.UNSPECIFIED : ACTIONS[facts.action],
  });
}
