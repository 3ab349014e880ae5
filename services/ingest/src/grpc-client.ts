import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ChannelCredentials, Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import { workerAuthorization } from "./worker-key.ts";

export interface CallOptions {
  /** How long the answer may take. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Calls unary methods of generated services over gRPC. Failures are grpc-js's ServiceError. */
export interface GrpcClient {
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>>;
  close(): void;
}

/** Opens one connection to `url`: cleartext HTTP/2 for http, TLS for https. Every call shows the worker key. */
export function createGrpcClient(url: string, workerKey: string): GrpcClient {
  const { protocol, host } = new URL(url);
  const credentials =
    protocol === "https:" ? ChannelCredentials.createSsl() : ChannelCredentials.createInsecure();
  const client = new Client(host, credentials, {
    "grpc.keepalive_time_ms": 20_000,
    "grpc.max_reconnect_backoff_ms": 2_000,
    "grpc.initial_reconnect_backoff_ms": 100,
  });

  const metadata = new Metadata();
  metadata.set("authorization", workerAuthorization(workerKey));

  return {
    async call<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      request: MessageInitShape<I>,
      { timeoutMs, signal }: CallOptions,
    ): Promise<MessageShape<O>> {
      signal?.throwIfAborted();
      return await new Promise((resolve, reject) => {
        const cancel = (): void => call.cancel();
        const call = client.makeUnaryRequest(
          `/${method.parent.typeName}/${method.name}`,
          (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
          (bytes: Buffer) => fromBinary(method.output, bytes),
          create(method.input, request),
          metadata,
          { deadline: Date.now() + timeoutMs },
          (error: ServiceError | null, response?: MessageShape<O>) => {
            signal?.removeEventListener("abort", cancel);
            if (signal?.aborted) reject(signal.reason);
            else if (error) reject(error);
            else if (response !== undefined) resolve(response);
            else reject(new Error(`${method.name} was answered with nothing`));
          },
        );
        signal?.addEventListener("abort", cancel, { once: true });
      });
    },
    close: () => client.close(),
  };
}
