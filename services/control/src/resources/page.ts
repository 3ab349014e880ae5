import { Code, ConnectError } from "@connectrpc/connect";

const DEFAULT_PAGE_SIZE = 50;

/** Which page of a list is asked for. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** A page to read: one row more than is shown tells whether there is another page. */
export interface Page {
  readonly size: number;
  /** The keys of the last row of the page before; undefined for the first page. */
  readonly after: readonly string[] | undefined;
  /** Cuts the rows that were read to the page, and makes the token of the next one. */
  cut<Row>(rows: readonly Row[], keysOf: (row: Row) => readonly string[]): CutPage<Row>;
}

interface CutPage<Row> {
  readonly rows: readonly Row[];
  readonly nextPageToken: string;
}

/**
 * Reads a page request. `scope` names the list and its filter: a token of another list, or of the same
 * list with another filter, is refused with INVALID_ARGUMENT.
 */
export function toPage(request: PageRequest, scope: readonly string[]): Page {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const after = request.pageToken === "" ? undefined : parseToken(request.pageToken, scope);
  return {
    size,
    after,
    cut: (rows, keysOf) => {
      const shown = rows.slice(0, size);
      const last = shown.at(-1);
      const hasMore = rows.length > size && last !== undefined;
      return { rows: shown, nextPageToken: hasMore ? toToken(scope, keysOf(last)) : "" };
    },
  };
}

function toToken(scope: readonly string[], keys: readonly string[]): string {
  return Buffer.from(JSON.stringify([scope, keys])).toString("base64url");
}

function parseToken(token: string, scope: readonly string[]): readonly string[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (Array.isArray(value) && JSON.stringify(value[0]) === JSON.stringify(scope)) {
      const keys: unknown = value[1];
      if (Array.isArray(keys) && keys.every((key) => typeof key === "string")) {
        return keys;
      }
    }
  } catch (cause) {
    throw foreignToken(cause);
  }
  throw foreignToken();
}

function foreignToken(cause?: unknown): ConnectError {
  return new ConnectError(
    "page_token: not a token of this list and filter",
    Code.InvalidArgument,
    undefined,
    undefined,
    cause,
  );
}
