import type { IncomingMessage, ServerResponse } from "node:http";
import type { LocalAws } from "./local-aws.ts";
import { signaturesEqual } from "./sigv4.ts";

/** The handle's methods over HTTP: JSON in, JSON out, the admin token as a bearer token. */

const MAX_BODY_BYTES = 1024 ** 2;

type Call = (local: LocalAws, input: never) => Promise<unknown>;

/** A path is the method's name; the body is its arguments. `GET` takes no arguments. */
const CALLS: Readonly<Record<string, Call>> = {
  "POST /_buckets": (local, input: { name: string; region?: string }) =>
    local.createBucket(input.name, input),
  "POST /_access-points": (local, input: Parameters<LocalAws["createAccessPoint"]>[0]) =>
    local.createAccessPoint(input),
  "POST /_users": (local, input: Parameters<LocalAws["createUser"]>[0]) => local.createUser(input),
  "POST /_roles": (local, input: Parameters<LocalAws["putRole"]>[0]) => local.putRole(input),
  "DELETE /_roles": (local, input: { arn: string }) => local.deleteRole(input.arn),
  "POST /_faults": (local, input: Parameters<LocalAws["faults"]["add"]>[0]) =>
    local.faults.add(input),
  "DELETE /_faults": (local, input: { id?: string }) => local.faults.clear(input.id),
  "GET /_faults": (local) => local.faults.counts(),
  "POST /_statistics": (local, input: { bucket: string; key: string }) =>
    local.objectStatistics(input.bucket, input.key),
  "GET /_statistics": (local) => local.requestCounts(),
};

export async function serveAdmin(
  local: LocalAws,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const token = message.headers.authorization?.replace(/^Bearer /, "") ?? "";
  if (!signaturesEqual(token, local.adminToken)) {
    return sendJson(response, 401, { error: "the admin token is missing or wrong" });
  }
  const call = CALLS[`${message.method} ${message.url}`];
  if (call === undefined) return sendJson(response, 404, { error: "no such admin call" });
  try {
    const result = await call(local, (await readJson(message)) as never);
    sendJson(response, 200, result ?? {});
  } catch (error) {
    sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) });
  }
}

async function readJson(message: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new RangeError("the body is larger than 1 MiB");
    chunks.push(chunk);
  }
  return size === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}
