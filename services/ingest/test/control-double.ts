import type { MessageShape } from "@bufbuild/protobuf";
import type { HeartbeatResponseSchema } from "@sluice/api/ingest/v1/task_service_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { createGrpcClient, type GrpcClient } from "../src/grpc-client.ts";
import { type GrpcServer, serveGrpc, type UnaryHandlers } from "../src/grpc-server.ts";

export type ControlHandlers = UnaryHandlers<typeof TaskService>;

/** Control's side of TaskService over real gRPC, with answers that a test decides. */
export interface ControlDouble extends AsyncDisposable {
  readonly client: GrpcClient;
  readonly url: string;
  /** Errors of handlers that are no StageErrors, with the method's name. */
  readonly unexpected: readonly (readonly [unknown, string])[];
  heartbeat(
    taskId: string,
    signal?: AbortSignal,
  ): Promise<MessageShape<typeof HeartbeatResponseSchema>>;
  /** Goes away as a restart does; callers are refused until `open`. */
  close(): Promise<void>;
  /** Listens again, at the same address. */
  open(): Promise<void>;
}

export const WORKER_KEY = "the-worker-key-of-the-tests-of-ingest";

const refused = async (): Promise<never> => {
  throw new Error("the test did not expect this call");
};

/** Serves the handlers that are given; a call of another one fails. */
export async function serveControl(handlers: Partial<ControlHandlers>): Promise<ControlDouble> {
  const unexpected: [unknown, string][] = [];
  let server: GrpcServer | undefined;
  const open = async (port: number): Promise<GrpcServer> => {
    server = await serveGrpc({
      service: TaskService,
      handlers: {
        claimTasks: refused,
        heartbeat: refused,
        appendManifest: refused,
        recordPublishIntent: refused,
        completeTask: refused,
        failTask: refused,
        findEndedWorkflows: refused,
        ...handlers,
      },
      host: "127.0.0.1",
      port,
      workerKey: WORKER_KEY,
      onUnexpected: (error, method) => unexpected.push([error, method]),
    });
    return server;
  };
  const { port } = await open(0);
  const url = `http://127.0.0.1:${port}`;
  const client = createGrpcClient(url, WORKER_KEY);
  const close = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    await closing?.close();
  };
  return {
    client,
    url,
    unexpected,
    heartbeat: async (taskId, signal) =>
      await client.call(
        TaskService.method.heartbeat,
        { taskId, attempt: 1 },
        { timeoutMs: 10_000, ...(signal === undefined ? {} : { signal }) },
      ),
    close,
    open: async () => void (await open(port)),
    async [Symbol.asyncDispose]() {
      client.close();
      await close();
    },
  };
}
