import { createHmac } from "node:crypto";
import type { Session } from "./principal.ts";
import { signaturesEqual } from "./sigv4.ts";

/**
 * A session token states the whole session and is sealed by the server's secret, so a restart keeps every session
 * and nothing has to be stored. The secret key follows from the access key id in the same way.
 */

export function sealSession(secret: Buffer, session: Session): string {
  const body = Buffer.from(JSON.stringify(session)).toString("base64url");
  return `${body}.${seal(secret, `token:${body}`)}`;
}

/** The session of a token; undefined when the token is not one of ours. */
export function openSession(secret: Buffer, token: string): Session | undefined {
  const dot = token.indexOf(".");
  if (dot < 0) return undefined;
  const body = token.slice(0, dot);
  if (!signaturesEqual(token.slice(dot + 1), seal(secret, `token:${body}`))) return undefined;
  return JSON.parse(Buffer.from(body, "base64url").toString()) as Session;
}

export function sessionSecretKey(secret: Buffer, accessKeyId: string): string {
  return seal(secret, `key:${accessKeyId}`).slice(0, 40);
}

function seal(secret: Buffer, text: string): string {
  return createHmac("sha256", secret).update(text).digest("base64url");
}
