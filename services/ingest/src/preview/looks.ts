import {
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  CheckFileRequestSchema,
  CheckFileResponseSchema,
  InferFileSettingsRequestSchema,
  InferFileSettingsResponseSchema,
} from "@sluice/api/ingest/v1/inference_pb";
import type { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import {
  PreviewObjectRequestSchema,
  PreviewObjectResponseSchema,
} from "@sluice/api/ingest/v1/preview_pb";
import { StageError, type StageFailure } from "@sluice/errors";
import { createByteBudget } from "@sluice/streams";
import type { IngestConfig } from "../config.ts";
import type { UnaryHandlers } from "../grpc-server.ts";
import {
  LOOKS_AT_ONE_TIME,
  LoadThreadFailure,
  type LoadThreadPool,
  type LookKind,
} from "../load-thread-pool.ts";
import { toStageFailure } from "../to-proto.ts";

/**
 * The calls that read objects. They run where loads run, in threads with a limited heap: a decoder that crashes costs
 * one call, and is an answer. So is a look that takes too long.
 */
export function createLooks(
  { previewTimeoutMs }: IngestConfig,
  threads: LoadThreadPool,
): Pick<UnaryHandlers<typeof InspectService>, LookKind> {
  // Looks take turns as batches take bytes: first come, first served.
  const turns = createByteBudget(LOOKS_AT_ONE_TIME);

  async function look<I extends DescMessage, O extends DescMessage>(
    kind: LookKind,
    call: { readonly input: I; readonly output: O; readonly request: MessageShape<I> },
    caller: AbortSignal,
    toAnswer: (failure: StageFailure) => MessageInitShape<O>,
  ): Promise<MessageInitShape<O>> {
    const { input, output, request } = call;
    const timeout = AbortSignal.timeout(previewTimeoutMs);
    const signal = AbortSignal.any([caller, timeout]);
    let release: (() => void) | undefined;
    try {
      release = await turns.lease(1, signal);
      const response = await threads.look(kind, toBinary(input, request), signal);
      return fromBinary(output, response) as MessageInitShape<O>;
    } catch (error) {
      if (timeout.aborted && !caller.aborted) return toAnswer(tooLong(previewTimeoutMs));
      if (error instanceof LoadThreadFailure) return toAnswer(error.failure);
      throw error;
    } finally {
      release?.();
    }
  }

  return {
    inferFileSettings: async (request, signal) =>
      await look(
        "inferFileSettings",
        { input: InferFileSettingsRequestSchema, output: InferFileSettingsResponseSchema, request },
        signal,
        (failure) => ({
          inferred: {
            ...(request.settings && { settings: request.settings }),
            failure: toStageFailure(failure),
          },
        }),
      ),
    checkFile: async (request, signal) =>
      await look(
        "checkFile",
        { input: CheckFileRequestSchema, output: CheckFileResponseSchema, request },
        signal,
        (failure) => ({ check: { failure: toStageFailure(failure) } }),
      ),
    previewObject: async (request, signal) =>
      await look(
        "previewObject",
        { input: PreviewObjectRequestSchema, output: PreviewObjectResponseSchema, request },
        signal,
        (failure) => ({
          preview: {
            ...(request.settings && { settings: request.settings }),
            failure: toStageFailure(failure),
          },
        }),
      ),
  };
}

function tooLong(timeoutMs: number): StageFailure {
  const message = `The file could not be looked at within SLUICE_PREVIEW_TIMEOUT_MS = ${timeoutMs}. A load has no such limit.`;
  return new StageError("decompress", "limit_exceeded", message).toFailure();
}
