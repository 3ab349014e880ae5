import { createHash } from "node:crypto";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { AccessKey, LocalAws } from "../src/index.ts";
import {
  type CredentialScope,
  canonicalRequest,
  requestSignature,
  type SigningContext,
  signingKey,
  uriEncode,
} from "../src/sigv4.ts";

/** Requests made by hand, for what no SDK can be made to send. */

export interface RawInput {
  readonly method?: string;
  /** Decoded; the key's characters are escaped on the way. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly unsignedHeaders?: Readonly<Record<string, string>>;
  readonly payloadHash?: string;
  readonly body?: Buffer | ((signing: SigningContext) => Buffer);
  readonly region?: string;
  readonly host?: string;
  readonly timeMs?: number;
  /** Signs in the query string instead of the Authorization header. */
  readonly presignSeconds?: number;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The error document's code, if it is one. */
  readonly code: string | undefined;
}

export async function sendSigned(
  local: LocalAws,
  keys: AccessKey & { readonly sessionToken?: string },
  input: RawInput,
): Promise<RawAnswer> {
  const method = input.method ?? "GET";
  const host = input.host ?? new URL(local.url).host;
  const timestamp = new Date(input.timeMs ?? Date.now()).toISOString().replace(/[-:]|\.\d+/g, "");
  const region = input.region ?? local.region;
  const scope: CredentialScope = { date: timestamp.slice(0, 8), region, service: "s3" };
  const credential = `${keys.accessKeyId}/${scope.date}/${scope.region}/s3/aws4_request`;
  const isPresigned = input.presignSeconds !== undefined;
  const bodyHash = createHash("sha256")
    .update(Buffer.isBuffer(input.body) ? input.body : "")
    .digest("hex");
  const payloadHash = input.payloadHash ?? (isPresigned ? "UNSIGNED-PAYLOAD" : bodyHash);
  const headers: Record<string, string> = {
    host,
    ...input.headers,
    ...(!isPresigned && {
      "x-amz-date": timestamp,
      "x-amz-content-sha256": payloadHash,
      ...(keys.sessionToken && { "x-amz-security-token": keys.sessionToken }),
    }),
  };
  const signedNames = Object.keys(headers).sort().join(";");
  const query: Record<string, string> = {
    ...input.query,
    ...(isPresigned && {
      "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
      "X-Amz-Credential": credential,
      "X-Amz-Date": timestamp,
      "X-Amz-Expires": String(input.presignSeconds),
      "X-Amz-SignedHeaders": signedNames,
      ...(keys.sessionToken && { "X-Amz-Security-Token": keys.sessionToken }),
    }),
  };
  const key = signingKey(keys.secretAccessKey, scope);
  const canonical = canonicalRequest({
    method,
    path: input.path,
    query: Object.entries(query),
    headers: Object.entries(headers),
    payloadHash,
    encodesPathTwice: false,
  });
  const { signature } = requestSignature(key, timestamp, scope, canonical);
  if (isPresigned) query["X-Amz-Signature"] = signature;
  else {
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedNames}, Signature=${signature}`;
  }
  const body =
    typeof input.body === "function"
      ? input.body({ key, timestamp, scope, seedSignature: signature })
      : input.body;
  const search = Object.entries(query)
    .map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`)
    .join("&");
  const path = input.path.split("/").map(uriEncode).join("/");
  return send(local, method, search === "" ? path : `${path}?${search}`, body, {
    ...headers,
    ...input.unsignedHeaders,
  });
}

function send(
  local: LocalAws,
  method: string,
  path: string,
  body: Buffer | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(local.url);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        hostname,
        port,
        method,
        path,
        headers: { "content-length": body?.length ?? 0, ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const whole = Buffer.concat(chunks);
          const code = /<Code>(.*?)<\/Code>/.exec(whole.toString("latin1"))?.[1];
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            code,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
