import type { ServerResponse } from "node:http";
import { readAddress } from "./address.ts";
import { type Authentication, authenticate } from "./authenticate.ts";
import { assertBucketName } from "./bucket-operations.ts";
import { assertAllowed, type Exchange, type ServerState } from "./exchange.ts";
import type { FaultSubject } from "./faults.ts";
import type { HttpRequest } from "./http-request.ts";
import { findOperation } from "./operations.ts";
import { principalNames } from "./principal.ts";
import { responseClosed } from "./response-closed.ts";
import { S3Error } from "./s3-error.ts";
import { isS3Control, serveS3Control } from "./serve-s3-control.ts";
import { field } from "./xml.ts";

/** Answers one request to S3: address, faults, signature, region, permission, operation. */
export async function serveS3(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
  requestId: string,
): Promise<void> {
  try {
    await answer(state, request, response);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else sendError(request, response, toS3Error(error), requestId);
  }
}

async function answer(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
): Promise<void> {
  if (isS3Control(request)) return serveS3Control(state, request, response);
  const query = new Map(request.query);
  const address = readAddress(request, state.accounts);
  const { bucketName, key, accessPoint } = address;
  const target = bucketName === "" ? "service" : key === "" ? "bucket" : "object";
  const operation = findOperation(request, query, target);
  state.statistics.requestStarted(operation.name);
  const anonymous: FaultSubject = {
    operation: operation.name,
    bucket: bucketName === "" ? undefined : bucketName,
    key: key === "" ? undefined : key,
    principals: [],
  };
  await throwFault(state, anonymous, response);
  if (response.destroyed) return;
  const authentication = authenticate(request, state.accounts, state.now());
  const subject = { ...anonymous, principals: principalNames(authentication.principal) };
  throwIdentityFault(state, subject);
  const exchange: Exchange = {
    state,
    request,
    response,
    authentication,
    operation: operation.name,
    query,
    bucketName,
    key,
    accessPoint,
    subject,
  };
  if (accessPoint === undefined) assertAddressed(bucketName);
  assertRegion(state, authentication, bucketName, operation.name);
  if (accessPoint?.isVpcOnly) {
    throw new S3Error("AccessDenied", "The access point accepts requests from its VPC alone.");
  }
  const isMissing = bucketName !== "" && state.accounts.bucket(bucketName) === undefined;
  if (isMissing && operation.name !== "CreateBucket") {
    throw new S3Error("NoSuchBucket", "The specified bucket does not exist", {
      detail: { BucketName: bucketName },
    });
  }
  if (operation.action !== undefined) {
    const bucket = bucketName === "" ? "*" : bucketName;
    assertAllowed(exchange, operation.action, bucket, key === "" ? undefined : key);
  }
  await operation.run(exchange);
}

function assertAddressed(name: string): void {
  if (name.startsWith("arn:")) {
    throw new S3Error("NoSuchAccessPoint", "The specified accesspoint does not exist");
  }
  if (name !== "" && !name.endsWith("-s3alias")) assertBucketName(name);
}

async function throwFault(
  state: ServerState,
  subject: FaultSubject,
  response: ServerResponse,
): Promise<void> {
  const [error] = state.faults.fire(subject, ["error"]);
  if (error !== undefined) {
    throw new S3Error(error.code, "A fault was asked for.", {
      ...(error.status !== undefined && { status: error.status }),
    });
  }
  if (subject.operation === "GetObject") return;
  for (const effect of state.faults.fire(subject, ["reset", "stall", "short-body"])) {
    if (effect.kind === "reset") response.socket?.resetAndDestroy();
    else if (effect.kind === "short-body") response.socket?.destroy();
    else await Promise.race([state.faults.cleared(), responseClosed(response)]);
  }
}

function throwIdentityFault(state: ServerState, subject: FaultSubject): void {
  if (state.faults.fire(subject, ["expire-token"]).length > 0) {
    throw new S3Error("ExpiredToken", "The provided token has expired.");
  }
  if (state.faults.fire(subject, ["revoke-access"]).length > 0) {
    throw new S3Error("AccessDenied", "Access Denied");
  }
}

// This one endpoint stands for every region: a request signed for the bucket's region is at home.
function assertRegion(
  state: ServerState,
  { scope }: Authentication,
  bucketName: string,
  operation: string,
): void {
  if (scope.service !== "s3") {
    throw new S3Error(
      "AuthorizationHeaderMalformed",
      `The authorization header is malformed; incorrect service "${scope.service}". This endpoint belongs to "s3".`,
    );
  }
  const home = state.accounts.region;
  const bucket = state.accounts.bucket(bucketName);
  const expected = bucket?.region ?? home;
  if (scope.region === expected) return;
  if (scope.region === "us-east-1" && (operation === "GetBucketLocation" || bucketName === "")) {
    return;
  }
  const headers = { "x-amz-bucket-region": expected };
  if (bucket !== undefined && scope.region === home) {
    throw new S3Error(
      "PermanentRedirect",
      "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
      {
        detail: { Endpoint: `s3.${expected}.amazonaws.com`, Bucket: bucketName, Region: expected },
        headers,
      },
    );
  }
  throw new S3Error(
    "AuthorizationHeaderMalformed",
    `The authorization header is malformed; the region '${scope.region}' is wrong; expecting '${expected}'`,
    { detail: { Region: expected }, headers },
  );
}

function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  return new S3Error("InternalError", "We encountered an internal error. Please try again.", {
    detail: { Cause: error instanceof Error ? error.message : String(error) },
    cause: error,
  });
}

function sendError(
  request: HttpRequest,
  response: ServerResponse,
  error: S3Error,
  requestId: string,
): void {
  if (response.destroyed) return;
  const hasBody = request.method !== "HEAD" && error.status !== 304;
  const fields = Object.entries(error.detail).map(([name, value]) => field(name, value));
  const document = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${[
    field("Code", error.code),
    field("Message", error.message),
    ...fields,
    field("Resource", request.path),
    field("RequestId", requestId),
  ].join("")}</Error>`;
  const body = Buffer.from(hasBody ? document : "");
  // A client that still waits to be told to go on will send no body on this connection, or one nobody expects.
  const isWaiting = request.headers.has("expect") && !request.message.complete;
  response.writeHead(error.status, {
    ...(hasBody && { "content-type": "application/xml", "content-length": body.length }),
    ...(isWaiting && { connection: "close" }),
    ...error.headers,
  });
  response.end(body);
}
