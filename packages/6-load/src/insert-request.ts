import { once } from "node:events";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { freePassed } from "@sluice/streams";
import { ClickHouseAnswerError, exceptionCodeOf } from "./translate-clickhouse-error.ts";

/** One INSERT with its data, as one request of a length that is known before it starts. */
export interface InsertRequest {
  /** Ends with `FORMAT <name>`. */
  readonly statement: string;
  /** Bytes at hand, in pieces; or a source that is opened anew at each try. */
  readonly body: readonly Uint8Array[] | ((signal: AbortSignal) => AsyncIterable<Uint8Array>);
  /** Bytes of the body. */
  readonly byteLength: number;
  readonly queryId: string;
  readonly deduplicationToken: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What ClickHouse says it did with an insert. */
export interface InsertAnswer {
  readonly readRows: number;
  /** Rows written, or that a repeated insert would have written. */
  readonly writtenRows: number;
}

export interface InsertPathOptions {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly requestTimeoutMs: number;
  readonly maxOpenConnections: number;
}

export interface InsertPath {
  send(insert: InsertRequest): Promise<InsertAnswer>;
  close(): void;
}

/** An answer longer than this is cut: exceptions are short, and results are not asked for here. */
const MAX_ANSWER_BYTES = 64 * 1024;

async function readAnswer(response: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  let held = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    if (held < MAX_ANSWER_BYTES) parts.push(part);
    held += part.byteLength;
  }
  return Buffer.concat(parts).subarray(0, MAX_ANSWER_BYTES).toString("utf8");
}

function rowsOf(summary: unknown, name: "read_rows" | "written_rows"): number {
  const value =
    typeof summary === "object" && summary !== null ? Reflect.get(summary, name) : undefined;
  const rows = typeof value === "string" ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(rows)) {
    throw new ClickHouseAnswerError(`the summary has no ${name}`, 200, undefined);
  }
  return rows;
}

function parseSummary(header: string | string[] | undefined): unknown {
  if (typeof header !== "string") return undefined;
  try {
    return JSON.parse(header);
  } catch (cause) {
    const error = new ClickHouseAnswerError("the summary is not JSON", 200, undefined);
    error.cause = cause;
    throw error;
  }
}

/**
 * Inserts over kept-alive HTTP connections: the statement stands in front of the data in the body, so
 * that its length has no other limit than max_query_size and no log of addresses sees names; the
 * client library streams bodies chunked, where a cut connection cannot be told from an end by a proxy.
 */
export function createInsertPath(options: InsertPathOptions): InsertPath {
  const url = new URL(options.url);
  const secure = url.protocol === "https:";
  const agentOptions = { keepAlive: true, maxSockets: options.maxOpenConnections };
  const agent = secure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
  const open = secure ? httpsRequest : httpRequest;

  return {
    async send(insert) {
      const prefix = Buffer.from(`${insert.statement}\n`, "utf8");
      const path = new URL(url);
      for (const [name, value] of Object.entries(insert.settings)) {
        path.searchParams.set(name, value);
      }
      path.searchParams.set("max_query_size", String(prefix.byteLength + 1));
      path.searchParams.set("query_id", insert.queryId);
      path.searchParams.set("insert_deduplication_token", insert.deduplicationToken);

      const timeout = AbortSignal.timeout(options.requestTimeoutMs);
      const signal =
        insert.signal === undefined ? timeout : AbortSignal.any([insert.signal, timeout]);
      const request = open(path, {
        agent,
        method: "POST",
        signal,
        headers: {
          "X-ClickHouse-User": options.username,
          "X-ClickHouse-Key": options.password,
          "Content-Type": "application/octet-stream",
          "Content-Length": prefix.byteLength + insert.byteLength,
        },
      });
      const answered = (async () => {
        const [response]: IncomingMessage[] = await once(request, "response");
        if (response === undefined) throw new Error("no response");
        return { response, text: await readAnswer(response) };
      })();
      try {
        const sending = (async () => {
          request.cork();
          request.write(prefix);
          if (typeof insert.body !== "function") {
            for (const piece of insert.body) request.write(piece);
            request.end();
            return;
          }
          request.uncork();
          for await (const chunk of insert.body(signal)) {
            const isRoom = request.write(chunk, () => freePassed(chunk));
            if (!isRoom) await Promise.race([once(request, "drain"), answered]);
            if (request.destroyed || request.writableFinished) return;
          }
          request.end();
        })();
        // A server that refuses early answers before the body is sent; then the answer is what counts.
        await Promise.race([answered, sending.then(() => answered)]);
        const { response, text } = await answered;
        // The body may be freed once this returns: nothing of it may be sent any more.
        const isSent = request.writableFinished;
        if (!isSent) request.destroy();
        const exception = response.headers["x-clickhouse-exception-code"];
        const status = response.statusCode ?? 0;
        if (exception !== undefined || status < 200 || status > 299) {
          const code = exception === undefined ? exceptionCodeOf(text) : Number(exception);
          throw new ClickHouseAnswerError(text, status, code, isSent);
        }
        const summary = parseSummary(response.headers["x-clickhouse-summary"]);
        return {
          readRows: rowsOf(summary, "read_rows"),
          writtenRows: rowsOf(summary, "written_rows"),
        };
      } catch (error) {
        request.destroy();
        answered.catch(() => undefined);
        if (timeout.aborted) throw new Error("request timeout", { cause: error });
        throw error;
      }
    },
    close() {
      agent.destroy();
    },
  };
}
