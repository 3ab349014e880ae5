import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { Stage, type StageFailure, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { StatusSchema } from "@sluice/api/google/rpc/status_pb";
import { StageError } from "@sluice/errors";
import { afterEach, expect, test } from "vitest";
import { workerAuthorization } from "../src/worker-key.ts";
import { type ControlDouble, serveControl, WORKER_KEY } from "./control-double.ts";

let control: ControlDouble;
afterEach(async () => await control[Symbol.asyncDispose]());

/** What the caller of a method gets when its handler throws `thrown`. */
async function refusal(thrown: Error): Promise<ServiceError> {
  control = await serveControl({
    heartbeat: async () => {
      throw thrown;
    },
  });
  return await control.heartbeat("t").then(
    () => {
      throw new Error("it was answered");
    },
    (error: ServiceError) => error,
  );
}

function stageFailures(error: ServiceError): (StageFailure | undefined)[] {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Buffer)) return [];
  return fromBinary(StatusSchema, bytes).details.map((any) => anyUnpack(any, StageFailureSchema));
}

test("answers what the handler gives", async () => {
  control = await serveControl({
    heartbeat: async ({ taskId }) => ({ stop: taskId === "the one" }),
  });
  expect((await control.heartbeat("the one")).stop).toBe(true);
  expect((await control.heartbeat("another")).stop).toBe(false);
});

test("a StageError arrives whole, as a StageFailure in the status details", async () => {
  const error = await refusal(
    new StageError("decompress", "not_this_container", "the file is not gzip", {
      bucket: "acme",
      key: "日向.csv.gz",
      layers: [{ kind: "gzip", offset: 3 }],
      byteOffset: 5_000_000_000,
      row: 7,
      column: "id",
      seen: "zip",
      expected: "gzip",
      cause: new Error("canary"),
    }),
  );
  expect(error.code).toBe(status.FAILED_PRECONDITION);
  expect(error.details).toBe("[decompress/not_this_container] the file is not gzip");
  expect(stageFailures(error)).toEqual([
    expect.objectContaining({
      stage: Stage.DECOMPRESS,
      code: "not_this_container",
      message: "the file is not gzip",
      seen: "zip",
      expected: "gzip",
      coordinate: expect.objectContaining({
        bucket: "acme",
        key: "日向.csv.gz",
        layers: [expect.objectContaining({ kind: "gzip", offset: 3n })],
        byteOffset: 5_000_000_000n,
        row: 7n,
        column: "id",
      }),
    }),
  ]);
  expect(error.metadata.get("grpc-status-details-bin").toString()).not.toContain("canary");
});

test("a StageError that may pass by itself is UNAVAILABLE: callers try again", async () => {
  const error = await refusal(new StageError("fetch", "throttled", "S3 asks to slow down"));
  expect(error.code).toBe(status.UNAVAILABLE);
  expect(stageFailures(error)).toMatchObject([{ stage: Stage.FETCH, code: "throttled" }]);
});

test("an unexpected error tells the caller nothing of itself, and the engineer all", async () => {
  const thrown = new Error("canary: password of the database");
  const error = await refusal(thrown);
  expect(error.code).toBe(status.INTERNAL);
  expect(error.details).toBe("the worker failed to answer");
  expect(JSON.stringify(error.metadata.toJSON())).not.toContain("canary");
  expect(error.metadata.get("grpc-status-details-bin")).toEqual([]);
  expect(control.unexpected).toEqual([[thrown, "Heartbeat"]]);
});

test("a handler hears that its caller went away", async () => {
  const asked = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<void>();
  control = await serveControl({
    heartbeat: async (_, signal) => {
      signal.addEventListener("abort", () => heard.resolve());
      asked.resolve();
      await heard.promise;
      return {};
    },
  });
  const caller = new AbortController();
  const call = control.heartbeat("t", caller.signal);
  const outcome = expect(call).rejects.toThrow("I am off");
  await asked.promise;
  caller.abort(new Error("I am off"));
  await outcome;
  await heard.promise;
});

test("bytes that are no message are INVALID_ARGUMENT, for those who show the key", async () => {
  control = await serveControl({});
  const client = new Client(new URL(control.url).host, credentials.createInsecure());
  const send = async (metadata: Metadata): Promise<ServiceError | null> =>
    await new Promise((resolve) => {
      client.makeUnaryRequest(
        "/sluice.ingest.v1.TaskService/Heartbeat",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        // Field 1 with 100 bytes, of which there is none.
        Buffer.from([0x0a, 100]),
        metadata,
        (error) => resolve(error),
      );
    });
  const known = new Metadata();
  known.set("authorization", workerAuthorization(WORKER_KEY));
  expect((await send(known))?.code).toBe(status.INVALID_ARGUMENT);
  expect((await send(new Metadata()))?.code).toBe(status.UNAUTHENTICATED);
  client.close();
});
