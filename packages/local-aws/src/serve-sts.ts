import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { authenticate } from "./authenticate.ts";
import type { ServerState } from "./exchange.ts";
import { type HttpRequest, parseQuery } from "./http-request.ts";
import { principalNames } from "./principal.ts";
import { arrivingBytes, readText } from "./request-body.ts";
import { S3Error } from "./s3-error.ts";
import { callSts, StsError, stsErrorDocument } from "./sts.ts";

/** Answers one request of the STS Query API. */
export async function serveSts(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
): Promise<void> {
  try {
    send(response, 200, await answer(state, request, response));
  } catch (error) {
    const refusal = toStsError(error);
    send(response, refusal.status, stsErrorDocument(refusal.code, refusal.message, refusal.status));
  }
}

async function answer(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
): Promise<string> {
  const body = await readText(arrivingBytes(request, response));
  const form = new Map([...request.query, ...parseQuery(body)]);
  const operation = form.get("Action") ?? "";
  state.statistics.requestStarted(operation);
  const subject = { operation, bucket: undefined, key: undefined, principals: [] };
  const [fault] = state.faults.fire(subject, ["error"]);
  if (fault !== undefined) {
    throw new S3Error(fault.code, "A fault was asked for.", {
      ...(fault.status !== undefined && { status: fault.status }),
    });
  }
  const bodyHash = createHash("sha256").update(body).digest("hex");
  const { principal } = authenticate(request, state.accounts, state.now(), bodyHash);
  const known = { ...subject, principals: principalNames(principal) };
  if (state.faults.fire(known, ["expire-token"]).length > 0) {
    throw new S3Error("ExpiredToken", "The security token included in the request is expired");
  }
  if (state.faults.fire(known, ["revoke-access"]).length > 0) {
    throw new StsError("AccessDenied", 403, "The caller's access was revoked");
  }
  return callSts({ accounts: state.accounts, principal, form, nowMs: state.now() });
}

// The signature check speaks S3's codes; STS has its own words for the same refusals ("Common Errors").
function toStsError(error: unknown): StsError {
  if (error instanceof StsError) return error;
  if (!(error instanceof S3Error)) {
    return new StsError("InternalFailure", 500, "The request processing has failed.");
  }
  if (error.code === "InvalidAccessKeyId" || error.code === "InvalidToken") {
    return new StsError(
      "InvalidClientTokenId",
      403,
      "The security token included in the request is invalid.",
    );
  }
  if (error.code === "ExpiredToken") {
    return new StsError(
      "ExpiredToken",
      403,
      "The security token included in the request is expired",
    );
  }
  if (error.code === "RequestTimeTooSkewed") {
    return new StsError("SignatureDoesNotMatch", 403, "Signature expired");
  }
  if (error.code === "AuthorizationHeaderMalformed") {
    return new StsError("IncompleteSignature", 400, error.message);
  }
  return new StsError(error.code, error.status, error.message);
}

function send(response: ServerResponse, status: number, document: string): void {
  const body = Buffer.from(document);
  response.writeHead(status, { "content-type": "text/xml", "content-length": body.length });
  response.end(body);
}
