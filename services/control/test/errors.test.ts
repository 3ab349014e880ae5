import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { CODES, StageError } from "@sluice/errors";
import { pino } from "pino";
import { expect, test } from "vitest";
import { translateErrors } from "../src/server/errors.ts";
import { failureError, toStageFailure } from "../src/stage-failure.ts";

const log = pino({ level: "silent" });

/** What a caller gets when a service throws. */
async function thrown(error: unknown): Promise<ConnectError> {
  const transport = createRouterTransport(
    (router) => {
      router.service(SourceService, {
        listPlugins: () => {
          throw error;
        },
      });
    },
    { router: { interceptors: [translateErrors(log)] } },
  );
  try {
    await createClient(SourceService, transport).listPlugins({});
  } catch (caught) {
    return ConnectError.from(caught);
  }
  throw new Error("the call was not refused");
}

const all = Object.entries(CODES).flatMap(([stage, codes]) =>
  Object.keys(codes).map((code) => [stage, code] as const),
);

test.each(all)("%s.%s reaches callers with its stage, code, advice and action", (stage, code) => {
  const error = new StageError(stage as "connect", code as "access_denied", "what happened", {
    cause: new Error("a detail that is nobody's business"),
    bucket: "b",
    seen: "s",
  });
  const translated = failureError(toStageFailure(error), error);
  expect(translated.rawMessage).toBe(`[${stage}/${code}] what happened`);
  expect([Code.PermissionDenied, Code.Unauthenticated, Code.Internal, Code.Unknown]).not.toContain(
    translated.code,
  );
  const [detail] = translated.details as { desc: DescMessage; value: Record<string, unknown> }[];
  expect(detail?.desc).toBe(StageFailureSchema);
  expect(detail?.value).toMatchObject({ code, message: "what happened", seen: "s" });
  expect(detail?.value.advice).not.toBe("");
  expect(detail?.value.action).not.toBe(0);
});

test("a stage's error is translated whatever service throws it", async () => {
  const error = await thrown(new StageError("fetch", "throttled", "slow down"));
  expect(error.code).toBe(Code.Unavailable);
  expect(error.findDetails(StageFailureSchema)[0]).toMatchObject({ code: "throttled" });
});

test("a ConnectError passes as it is", async () => {
  const error = await thrown(new ConnectError("no such thing", Code.NotFound));
  expect([error.code, error.rawMessage]).toEqual([Code.NotFound, "no such thing"]);
});

test.each([
  ["an Error", new Error("password=canary")],
  ["a thing that is no Error", { canary: true }],
  ["an INTERNAL with words of its own", new ConnectError("canary", Code.Internal)],
])("%s shows nothing but an id", async (_name, cause) => {
  const error = await thrown(cause);
  expect(error.code).toBe(Code.Internal);
  expect(error.rawMessage).toMatch(/^internal error [0-9a-f-]{36}$/);
  expect(error.details).toEqual([]);
});
