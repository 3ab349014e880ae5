import { fromJson, type JsonValue, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  Retry,
  Stage,
  type StageFailure,
  StageFailureSchema,
} from "@sluice/api/control/v1/failure_pb";
import { StageError } from "@sluice/errors";
import { toStageFailure } from "../stage-failure.ts";
import type { TaskKind } from "./tally.ts";

/** What an attempt ended with whose worker was not heard of in time. */
export function lostWorkerFailure(kind: TaskKind): StageFailure {
  const message = "The worker that was busy with it was not heard of in time.";
  const stage = kind === "list" || kind === "publish" ? kind : "load";
  return toStageFailure(new StageError(stage, "worker_lost", message));
}

/** Why what a task needs could not be put together when it was claimed. */
export function secretsFailure(error: unknown): StageFailure {
  if (error instanceof StageError) return toStageFailure(error);
  if (error instanceof ConnectError) {
    const [detail] = error.findDetails(StageFailureSchema);
    if (detail !== undefined) return detail;
    if (error.code === Code.NotFound || error.code === Code.FailedPrecondition) {
      return toStageFailure(
        new StageError(
          "connect",
          "invalid_credentials",
          "A credential that the courier named when the workflow began can't be used.",
        ),
      );
    }
  }
  return toStageFailure(
    new StageError("connect", "source_unavailable", "The credential could not be opened."),
  );
}

export function isRetriedAutomatically(failure: StageFailure): boolean {
  return failure.retry === Retry.AUTOMATIC;
}

/**
 * Whether a load failed for its bytes: they are not the object's, or not what they have to be. What was staged of them
 * came before that was known, and is worth nothing, whatever the next read brings.
 */
export function isOfBytes({ stage, code }: StageFailure): boolean {
  switch (stage) {
    case Stage.FETCH:
      return code === "checksum_mismatch" || code === "length_mismatch";
    case Stage.DECRYPT:
    case Stage.DECOMPRESS:
    case Stage.PARSE:
      return true;
    default:
      return false;
  }
}

/** What is wrong with the keys is wrong for every file that they should open. */
const OF_THE_KEYS: ReadonlySet<string> = new Set([
  "bad_passphrase",
  "unusable_key",
  "unusable_signer_key",
]);

/** Whether a failure is of one object, and says nothing of the others. */
export function isOfOneObject({ stage, code }: StageFailure): boolean {
  switch (stage) {
    case Stage.FETCH:
    case Stage.DECOMPRESS:
    case Stage.PARSE:
    case Stage.CAST:
      return true;
    case Stage.DECRYPT:
      return !OF_THE_KEYS.has(code);
    default:
      return false;
  }
}

export function failureToJson(failure: StageFailure): string {
  return toJsonString(StageFailureSchema, failure);
}

export function failureFromJson(json: JsonValue): StageFailure {
  return fromJson(StageFailureSchema, json, { ignoreUnknownFields: true });
}
