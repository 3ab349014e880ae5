import { clone, create } from "@bufbuild/protobuf";
import {
  type PreviewObjectRequest,
  PreviewObjectRequestSchema,
  type PreviewObjectResponse,
  PreviewObjectResponseSchema,
  PreviewSchema,
} from "@sluice/api/control/v1/preview_pb";
import type { ControlContext } from "../context.ts";
import { refuseField } from "../server/field-violations.ts";
import { completeFailure } from "../stage-failure.ts";
import { connectionOf } from "./credential-access.ts";
import { assertSettings, namesFormat, pgpKeysFor, typingOf } from "./preview-access.ts";

/** A look may read hundreds of megabytes before it can show anything; the worker has a limit below this one. */
export const LOOK_TIMEOUT_MS = 620_000;

/** The head of an object, as a worker sees it. */
export async function previewObject(
  context: ControlContext,
  request: PreviewObjectRequest,
): Promise<PreviewObjectResponse> {
  const { credentialId, key, settings, entry, view, maxRows, maxBytes } = request;
  if (!namesFormat(settings)) {
    refuseField(PreviewObjectRequestSchema, "settings", "settings", "a format has to be named");
  }
  assertSettings(PreviewObjectRequestSchema, settings);
  const connection = await connectionOf(context, credentialId);
  const pgpKeys = await pgpKeysFor(context, settings);
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
