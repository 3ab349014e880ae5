import { once } from "node:events";
import { request } from "node:http";
import { buffer } from "node:stream/consumers";
import type { LocalUser } from "../src/index.ts";

export interface Question {
  /** Settings and other parameters of the URL. */
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** The data of an INSERT; the SQL then travels in the URL. */
  readonly data?: Uint8Array;
}

export interface Answer {
  readonly status: number;
  /** ClickHouse's error code; 0 where there was no error. */
  readonly code: number;
  readonly body: Buffer;
  readonly text: string;
  /** The X-ClickHouse-Summary's count of rows written. */
  readonly writtenRows: number;
}

/** One request over ClickHouse's HTTP interface, on a connection of its own. */
export async function ask(
  server: { readonly httpPort: number },
  user: LocalUser | undefined,
  sql: string,
  { parameters = {}, data }: Question = {},
): Promise<Answer> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) query.set(name, String(value));
  if (data !== undefined) query.set("query", sql);
  const asked = request({
    host: "127.0.0.1",
    port: server.httpPort,
    method: "POST",
    path: `/?${query}`,
    agent: false,
    headers:
      user === undefined
        ? {}
        : { "X-ClickHouse-User": user.name, "X-ClickHouse-Key": user.password },
  }).end(data ?? sql);
  const [response] = await once(asked, "response");
  const body = await buffer(response);
  const summary = response.headers["x-clickhouse-summary"];
  return {
    status: response.statusCode,
    code: Number(response.headers["x-clickhouse-exception-code"] ?? 0),
    body,
    text: body.toString("utf8"),
    writtenRows: summary === undefined ? 0 : Number(JSON.parse(summary).written_rows),
  };
}

/** The answer's text without its last line break; throws what ClickHouse said otherwise. */
export async function answered(
  server: { readonly httpPort: number },
  user: LocalUser,
  sql: string,
  question: Question = {},
): Promise<string> {
  const { status, code, text } = await ask(server, user, sql, question);
  if (status !== 200 || code !== 0) throw new Error(`${sql}: ${text}`);
  return text.trimEnd();
}
