import type { IncomingMessage } from "node:http";
import { S3Error } from "./s3-error.ts";

/** The parts of a request as they were sent: nothing is normalised, since `//` and `..` are legal in keys. */
export interface HttpRequest {
  readonly message: IncomingMessage;
  readonly method: string;
  /** Still percent-encoded. */
  readonly rawPath: string;
  /** Decoded once. */
  readonly path: string;
  /** Decoded, in the order sent. */
  readonly query: readonly (readonly [string, string])[];
  /** Lower-case names; repeated headers joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
}

export function readHttpRequest(message: IncomingMessage): HttpRequest {
  const url = message.url ?? "/";
  const mark = url.indexOf("?");
  const rawPath = mark < 0 ? url : url.slice(0, mark);
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2) {
    const name = (message.rawHeaders[index] ?? "").toLowerCase();
    const value = message.rawHeaders[index + 1] ?? "";
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return {
    message,
    method: message.method ?? "GET",
    rawPath,
    path: decode(rawPath),
    query: mark < 0 ? [] : parseQuery(url.slice(mark + 1)),
    headers,
  };
}

/** Decoded names and values of a query string or a form, in the order sent. */
export function parseQuery(text: string): (readonly [string, string])[] {
  return text
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      const name = equals < 0 ? pair : pair.slice(0, equals);
      const value = equals < 0 ? "" : pair.slice(equals + 1);
      return [decode(name.replaceAll("+", " ")), decode(value.replaceAll("+", " "))] as const;
    });
}

/** Percent-decodes a path or a part of one; InvalidURI when it is not UTF-8. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new S3Error("InvalidURI", "Couldn't parse the specified URI.", { cause });
  }
}
