import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  status,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { StatusSchema } from "@sluice/api/google/rpc/status_pb";
import { StageError } from "@sluice/errors";
import { toStageFailure } from "./to-proto.ts";
import { isWorkerAuthorization } from "./worker-key.ts";

/** The handlers of a service's unary methods, by the names that generated clients use. */
export type UnaryHandlers<S extends DescService> = {
  readonly [M in keyof S["method"]]: S["method"][M] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, signal: AbortSignal) => Promise<MessageInitShape<O>>
    : never;
};

type UnaryHandler = (
  request: unknown,
  signal: AbortSignal,
) => Promise<MessageInitShape<DescMessage>>;

export interface GrpcServer {
  /** Where it listens. */
  readonly port: number;
  close(): Promise<void>;
}

/** A part of an upload, and what stands around it. */
const MAX_REQUEST_BYTES = 9 * 1024 * 1024;

/** Serves one service over cleartext gRPC, to those who show the worker key. A StageError reaches the caller whole, as a StageFailure. */
export async function serveGrpc<S extends DescService>(options: {
  readonly service: S;
  readonly handlers: UnaryHandlers<S>;
  readonly host: string;
  readonly port: number;
  readonly workerKey: string;
  readonly onUnexpected: (error: unknown, method: string) => void;
}): Promise<GrpcServer> {
  const { service, handlers, host, port, workerKey, onUnexpected } = options;
  const definitions: Record<string, MethodDefinition<unknown, unknown>> = {};
  const implementations: Record<string, UntypedHandleCall> = {};
  const byName: object = handlers;
  for (const method of service.methods) {
    const handler: UnaryHandler = Reflect.get(byName, method.localName);
    definitions[method.localName] = toDefinition(method.input, method.output, method.name, service);
    implementations[method.localName] = toUnary(method, handler, workerKey, (error) =>
      onUnexpected(error, method.name),
    );
  }
  const server = new Server({ "grpc.max_receive_message_length": MAX_REQUEST_BYTES });
  server.addService(definitions, implementations);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, chosen) =>
      error ? reject(error) : resolve(chosen),
    );
  });
  return {
    port: bound,
    close: async () =>
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve(undefined))),
  };
}

function toDefinition(
  input: DescMessage,
  output: DescMessage,
  name: string,
  service: DescService,
): MethodDefinition<unknown, unknown> {
  return {
    path: `/${service.typeName}/${name}`,
    requestStream: false,
    responseStream: false,
    // Parsed by the handler: grpc-js would answer INTERNAL to bytes that are no message, and before the key was seen.
    requestDeserialize: (bytes) => bytes,
    requestSerialize: (message) =>
      Buffer.from(toBinary(input, message as MessageShape<DescMessage>)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
    responseSerialize: (message) =>
      Buffer.from(toBinary(output, message as MessageShape<DescMessage>)),
  };
}

function toUnary(
  { input, output }: { readonly input: DescMessage; readonly output: DescMessage },
  handler: UnaryHandler,
  workerKey: string,
  onUnexpected: (error: unknown) => void,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    // The first one alone: several are joined by nobody who means well.
    if (!isWorkerAuthorization(call.metadata.get("authorization")[0], workerKey)) {
      const details = "the worker key is needed here";
      callback({ code: status.UNAUTHENTICATED, details, metadata: new Metadata() });
      return;
    }
    let request: unknown;
    try {
      request = fromBinary(input, call.request as Uint8Array);
    } catch {
      const details = "the request is not the message that it should be";
      callback({ code: status.INVALID_ARGUMENT, details, metadata: new Metadata() });
      return;
    }
    const stop = new AbortController();
    call.on("cancelled", () => stop.abort(new Error("the caller went away")));
    handler(request, stop.signal).then(
      (response) => callback(null, create(output, response)),
      (error: unknown) => {
        if (!(error instanceof StageError)) onUnexpected(error);
        callback(toServiceError(error));
      },
    );
  };
}

/** gRPC's status of each retry class: what a caller may do about it. */
function toServiceError(error: unknown): { code: status; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  if (!(error instanceof StageError)) {
    return { code: status.INTERNAL, details: "the worker failed to answer", metadata };
  }
  const code = error.retry === "automatic" ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
  const details = `[${error.stage}/${error.code}] ${error.rawMessage}`;
  const rich = create(StatusSchema, {
    code,
    message: details,
    details: [anyPack(StageFailureSchema, toStageFailure(error.toFailure()))],
  });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, rich)));
  return { code, details, metadata };
}
