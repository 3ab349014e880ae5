import { AsyncLocalStorage } from "node:async_hooks";

/** Whose rows a call reads and writes. Every table carries it and every query names it. */
export type Tenant = string;

/** What may be a tenant's name: it stands in the name of the platform's role. */
export const TENANT_NAME: RegExp = /^[a-z0-9][a-z0-9-]{0,31}$/;

const current = new AsyncLocalStorage<Tenant>();

/**
 * The tenant of the caller's credential, or the one that background work is done for. Throws where there is
 * neither: nothing is read or written for nobody.
 */
export function currentTenant(): Tenant {
  const tenant = current.getStore();
  if (tenant === undefined) throw new Error("this work is done for no tenant");
  return tenant;
}

/** Does work for a tenant: all that it awaits, and nothing else, sees it as the current one. */
export function asTenant<T>(tenant: Tenant, work: () => T): T {
  return current.run(tenant, work);
}

/** A stream whose items are made for a tenant: a generator runs where its next item is asked for. */
export async function* streamAsTenant<T>(
  tenant: Tenant,
  stream: AsyncIterable<T>,
): AsyncGenerator<T> {
  const items = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const item = await asTenant(tenant, () => items.next());
      if (item.done === true) return;
      yield item.value;
    }
  } finally {
    await asTenant(tenant, () => items.return?.());
  }
}

/** Does a round of work for one tenant after the other; gives the shortest of the times that they give. */
export async function eachTenant(
  tenants: readonly Tenant[],
  round: () => Promise<number | undefined>,
): Promise<number | undefined> {
  let shortest: number | undefined;
  for (const tenant of tenants) {
    const dueMs = await asTenant(tenant, round);
    if (dueMs !== undefined) shortest = Math.min(shortest ?? dueMs, dueMs);
  }
  return shortest;
}
