import type { ServerResponse } from "node:http";
import { authenticate } from "./authenticate.ts";
import type { ServerState } from "./exchange.ts";
import type { HttpRequest } from "./http-request.ts";
import { evaluateIdentity, principalArn } from "./principal.ts";
import { S3Error } from "./s3-error.ts";
import { element, field } from "./xml.ts";

const ACCESS_POINTS = "/v20180820/accesspoint/";

/** Whether a request is one of S3 Control: its paths begin with the API's version, and name the account in a header. */
export function isS3Control(request: HttpRequest): boolean {
  return request.path.startsWith(ACCESS_POINTS) && request.headers.has("x-amz-account-id");
}

/** Answers GetAccessPoint, the only operation of S3 Control that is served. */
export function serveS3Control(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
): void {
  state.statistics.requestStarted("GetAccessPoint");
  const { principal } = authenticate(request, state.accounts, state.now());
  if (request.method !== "GET") {
    throw new S3Error("MethodNotAllowed", "The specified method is not allowed.");
  }
  const name = request.path.slice(ACCESS_POINTS.length);
  const account = request.headers.get("x-amz-account-id") ?? "";
  const resource = `arn:aws:s3:${state.accounts.region}:${account}:accesspoint/${name}`;
  const action = "s3:GetAccessPoint";
  if (evaluateIdentity(principal, { action, resources: [resource], context: {} }) !== "allow") {
    throw new S3Error(
      "AccessDenied",
      `User: ${principalArn(principal)} is not authorized to perform: ${action} on resource: "${resource}"`,
    );
  }
  const point = state.accounts.accessPoint(name);
  if (point === undefined || point.arn !== resource) {
    throw new S3Error("NoSuchAccessPoint", "The specified accesspoint does not exist");
  }
  const document = element(
    "GetAccessPointResult",
    field("Name", name),
    field("Bucket", point.bucket),
    field("NetworkOrigin", point.isVpcOnly ? "VPC" : "Internet"),
    field("Alias", point.alias),
    field("AccessPointArn", point.arn),
  );
  response.writeHead(200, {
    "content-type": "application/xml",
    "content-length": Buffer.byteLength(document),
  });
  response.end(document);
}
