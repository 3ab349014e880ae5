import { Code, ConnectError } from "@connectrpc/connect";
import type { Page } from "../resources/page.ts";

/** In lists that count down: the number that the page starts below; undefined for the first page. */
export function belowNumber(page: Page): number | undefined {
  if (page.after === undefined) return undefined;
  const number = Number(page.after[0]);
  if (!Number.isSafeInteger(number)) {
    throw new ConnectError("page_token: not a token of this list", Code.InvalidArgument);
  }
  return number;
}
