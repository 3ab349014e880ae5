// What a team in another house has: the .proto files, and gRPC's own tooling. Nothing of this repository is imported.
import { credentials, InterceptingCall, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/**
 * A client of every service in `sluice.control.v1`, made of the .proto files below `folder`:
 * `await api.FeedService.getFeed({ id })`; a server stream is an async iterable.
 */
export function connect(url, folder, files, key) {
  const loaded = loadPackageDefinition(
    loadSync(files, {
      includeDirs: [folder],
      defaults: true,
      oneofs: true,
      enums: String,
      longs: String,
    }),
  );
  const { host } = new URL(url);
  const services = Object.entries(loaded.sluice.control.v1).filter(([, type]) => type.service);
  const clients = services.map(([name, Type]) => {
    const client = new Type(host, credentials.createInsecure(), { interceptors: [withKey(key)] });
    return [name, client, toCalls(client, Type.service)];
  });
  return {
    ...Object.fromEntries(clients.map(([name, , calls]) => [name, calls])),
    close: () => {
      for (const [, client] of clients) client.close();
    },
  };
}

/** Sends the API key with every call. */
function withKey(key) {
  return (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        metadata.set("authorization", `Bearer ${key}`);
        start(metadata, listener);
      },
    });
}

function toCalls(client, service) {
  return Object.fromEntries(
    Object.values(service).map(({ originalName, responseStream, requestStream }) => [
      originalName,
      requestStream
        ? (messages) => sendAll(client, originalName, messages)
        : responseStream
          ? (request) => client[originalName](request)
          : (request) => unary(client, originalName, request),
    ]),
  );
}

async function unary(client, method, request) {
  return await new Promise((resolve, reject) => {
    client[method](request, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function sendAll(client, method, messages) {
  return await new Promise((resolve, reject) => {
    const call = client[method]((error, answer) => (error ? reject(error) : resolve(answer)));
    for (const message of messages) call.write(message);
    call.end();
  });
}
