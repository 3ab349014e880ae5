import { clone, create } from "@bufbuild/protobuf";
import {
  type CheckFileRequest,
  CheckFileRequestSchema,
  type CheckFileResponse,
  CheckFileResponseSchema,
  type InferFileSettingsRequest,
  InferFileSettingsRequestSchema,
  type InferFileSettingsResponse,
  InferFileSettingsResponseSchema,
  InferredSettingsSchema,
} from "@sluice/api/control/v1/inference_pb";
import {
  type PreviewObjectRequest,
  PreviewObjectRequestSchema,
  type PreviewObjectResponse,
  PreviewObjectResponseSchema,
  PreviewSchema,
} from "@sluice/api/control/v1/preview_pb";
import type { ControlContext } from "../context.ts";
import { connectionOf } from "../credentials/credential-access.ts";
import { completeFailure } from "../stage-failure.ts";
import { pgpKeysToTry } from "./pgp-keys-to-try.ts";
import { assertSettings, feedVersionOf, typingOf } from "./preview-access.ts";

/** A look may read hundreds of megabytes before it can show anything; the worker has a limit below this one. */
const LOOK_TIMEOUT_MS = 620_000;

/** The head of an object, as a worker sees it. */
export async function previewObject(
  context: ControlContext,
  request: PreviewObjectRequest,
): Promise<PreviewObjectResponse> {
  const { credentialId, key, settings, entry, view, maxRows, maxBytes, date } = request;
  assertSettings(PreviewObjectRequestSchema, settings);
  const connection = await connectionOf(context, credentialId);
  const pgpKeys = await pgpKeysToTry(context, { connection, key, settings });
  const feed = await typingOf(context, request);
  const { preview } = await context.inspect.call((client, options) =>
    client.previewObject(
      {
        connection,
        key,
        pgpKeys,
        entry,
        view,
        maxRows,
        maxBytes,
        date,
        ...(settings && { settings }),
        ...(feed && { feed }),
      },
      { ...options, timeoutMs: LOOK_TIMEOUT_MS },
    ),
  );
  const complete = clone(PreviewSchema, preview ?? create(PreviewSchema));
  if (complete.failure !== undefined) complete.failure = completeFailure(complete.failure);
  return create(PreviewObjectResponseSchema, { preview: complete });
}

/** How an object is opened, and what is in it, as a worker infers it. */
export async function inferFileSettings(
  context: ControlContext,
  request: InferFileSettingsRequest,
): Promise<InferFileSettingsResponse> {
  const { credentialId, key, settings, entry, pgpCredentialId } = request;
  assertSettings(InferFileSettingsRequestSchema, settings);
  const connection = await connectionOf(context, credentialId);
  const pgpKeys = await pgpKeysToTry(context, { connection, key, settings, pgpCredentialId });
  const { inferred } = await context.inspect.call((client, options) =>
    client.inferFileSettings(
      { connection, key, pgpKeys, entry, ...(settings && { settings }) },
      { ...options, timeoutMs: LOOK_TIMEOUT_MS },
    ),
  );
  const complete = clone(InferredSettingsSchema, inferred ?? create(InferredSettingsSchema));
  if (complete.failure !== undefined) complete.failure = completeFailure(complete.failure);
  return create(InferFileSettingsResponseSchema, { inferred: complete });
}

/** In which ways a file differs from a feed. */
export async function checkFile(
  context: ControlContext,
  request: CheckFileRequest,
): Promise<CheckFileResponse> {
  const { feedId, draft, credentialId, key, settings, entry, date } = request;
  assertSettings(CheckFileRequestSchema, settings);
  const feed = await feedVersionOf(context, feedId, draft);
  const connection = await connectionOf(context, credentialId);
  const pgpKeys = await pgpKeysToTry(context, { connection, key, settings });
  const { check } = await context.inspect.call((client, options) =>
    client.checkFile(
      { connection, key, pgpKeys, entry, date, feed, ...(settings && { settings }) },
      { ...options, timeoutMs: LOOK_TIMEOUT_MS },
    ),
  );
  const complete = clone(CheckFileResponseSchema, check ?? create(CheckFileResponseSchema));
  if (complete.failure !== undefined) complete.failure = completeFailure(complete.failure);
  return complete;
}
