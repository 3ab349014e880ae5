import { isIP } from "node:net";
import { StageError } from "@sluice/errors";
import { type AllowedHosts, addressFault, hostOf } from "@sluice/outbound";
import type { BucketReference } from "./bucket-name.ts";
import type { Platform } from "./options.ts";

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

/**
 * The endpoint of a connection comes from whoever made the credential: an address of the inside is refused by its
 * text, unless the operator allows it. What a name stands for is checked when it is connected to.
 */
export function assertConnectionEndpoint(endpoint: string, allowed: AllowedHosts): void {
  assertEndpoint(endpoint);
  const host = hostOf(new URL(endpoint));
  const fault = isIP(host) === 0 || allowed.has(host) ? undefined : addressFault(host);
  if (fault === undefined) return;
  throw new StageError("connect", "endpoint_refused", "the endpoint is an address of the inside", {
    seen: host,
    expected: "an address of the public internet, or one of SLUICE_ALLOWED_ENDPOINTS",
  });
}

/** Names of AWS: its own, and with an endpoint in a VPC private addresses too. */
const AWS = /(?:^|\.)(?:amazonaws\.com(?:\.cn)?|api\.aws)$/;

/**
 * Whether a host may stand for a loopback or private address: the operator named it, or it is a name of AWS. A store
 * is addressed below its host too, by names of access points.
 */
export function createHostRule(
  { allowedHosts = new Set(), stsEndpoint, s3Endpoint }: Platform,
  endpoint: string | undefined,
): (host: string) => boolean {
  const hosts = [...allowedHosts];
  for (const own of [stsEndpoint, s3Endpoint]) {
    const url = URL.parse(own ?? "");
    if (url !== null) hosts.push(hostOf(url));
  }
  const used = URL.parse(endpoint ?? s3Endpoint ?? "");
  // An address of this machine that is allowed is addressed by its name where names stand below it.
  const isHere = used !== null && /^(?:127\.|::1$)/.test(hostOf(used));
  if (isHere) hosts.push("localhost");
  return (host) => AWS.test(host) || hosts.some((own) => host === own || host.endsWith(`.${own}`));
}

/** What no endpoint may be, whoever named it. */
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
