import type { Interceptor } from "@connectrpc/connect";

/** Sends an API key with every call. */
export function withKey(key: string): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return await next(request);
  };
}
