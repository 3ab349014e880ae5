import { isIP } from "node:net";
import { StageError } from "@sluice/errors";
import type { BucketReference } from "./bucket-name.ts";

/**
 * Where a store is asked, as the SDK can work with it: an access point's ARN is addressed by a host name below the
 * store's, of which an IP address has none. This machine's has one, localhost. Throws `connect.endpoint_refused`.
 */
export function toStoreEndpoint(endpoint: string, bucket: BucketReference): string {
  assertEndpoint(endpoint);
  const url = new URL(endpoint);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (bucket.kind !== "access-point-arn" || isIP(host) === 0) return endpoint;
  if (!/^(?:127\.|::1$)/.test(host)) {
    const message =
      "an access point's ARN is addressed below a host name, and the endpoint is an IP";
    throw new StageError("connect", "endpoint_refused", message, {
      seen: host,
      expected: "an endpoint with a host name, or the access point's alias for the bucket",
    });
  }
  url.hostname = "localhost";
  return url.href;
}

/** Which hosts may be called is the operator's to say; here is what no endpoint may be. */
export function assertEndpoint(endpoint: string): void {
  const url = URL.parse(endpoint);
  if (
    url !== null &&
    (url.protocol === "http:" || url.protocol === "https:") &&
    url.username === "" &&
    url.password === ""
  ) {
    return;
  }
  throw new StageError("connect", "endpoint_refused", "the endpoint is not valid", {
    expected: "an http or https address without user information",
  });
}
