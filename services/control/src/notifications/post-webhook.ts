import { createHmac } from "node:crypto";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { type AllowedHosts, checkedAddresses, hostOf } from "@sluice/outbound";
import { webhookUrlFault } from "./webhook-address.ts";

/** What is posted to an address. */
export interface Posting {
  readonly url: string;
  /** The same in every try of a delivery: receivers tell by it what they have already taken. */
  readonly deliveryId: string;
  readonly body: string;
  /** The key that the body is signed with. */
  readonly key: Uint8Array;
}

/** How a try went: taken when there is no error. */
export interface PostResult {
  /** 0 when there was no answer. */
  readonly statusCode: number;
  readonly error: string;
}

const TIMEOUT_MS = 10_000;

/**
 * Posts a body once. Anything but a 2xx is an error, redirects included: they are not followed. Never throws for what
 * the other side does.
 */
export async function postWebhook(
  posting: Posting,
  allowed: AllowedHosts,
  stopped: AbortSignal,
): Promise<PostResult> {
  const fault = webhookUrlFault(posting.url, allowed);
  if (fault !== undefined) return { statusCode: 0, error: `the address ${fault}` };
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const statusCode = await send(posting, allowed, signal);
    if (statusCode >= 200 && statusCode < 300) return { statusCode, error: "" };
    const isRedirect = statusCode >= 300 && statusCode < 400;
    const what = isRedirect ? "a redirect, which is not followed" : "not a 2xx";
    return { statusCode, error: `answered with ${statusCode}, ${what}` };
  } catch (error) {
    if (stopped.aborted) throw error;
    if (signal.aborted) return { statusCode: 0, error: `no answer within ${TIMEOUT_MS / 1000} s` };
    return { statusCode: 0, error: error instanceof Error ? error.message : String(error) };
  }
}

async function send(
  { url: text, deliveryId, body, key }: Posting,
  allowed: AllowedHosts,
  signal: AbortSignal,
): Promise<number> {
  const url = new URL(text);
  const addresses = await checkedAddresses(hostOf(url), allowed);
  const timestamp = Math.floor(Date.now() / 1000).toString();
  const options = {
    method: "POST",
    signal,
    agent: false,
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "user-agent": "sluice-webhooks",
      "webhook-id": deliveryId,
      "webhook-timestamp": timestamp,
      "webhook-signature": sign(key, deliveryId, timestamp, body),
    },
    // Connects to the addresses that were judged: a second look at the name could give others.
    lookup: (
      _host: string,
      _options: unknown,
      done: (error: Error | null, found: typeof addresses) => void,
    ) => done(null, addresses),
    autoSelectFamily: true,
  };
  return await new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options);
    request.on("error", reject);
    request.on("response", (response) => {
      // What it says does not matter, and may be long.
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.end(body);
  });
}

/** The signature of the Standard Webhooks specification, version 1. */
function sign(key: Uint8Array, deliveryId: string, timestamp: string, body: string): string {
  const mac = createHmac("sha256", key).update(`${deliveryId}.${timestamp}.${body}`);
  return `v1,${mac.digest("base64")}`;
}
