import type { ControlContext } from "../../context.ts";
import { connectionOf } from "../../credentials/credential-access.ts";
import type { PinnedObject } from "../context.ts";

/** The versions of objects that are in a credential's bucket now, by key, as a worker sees them. */
export async function pinObjects(
  context: ControlContext,
  credentialId: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, PinnedObject>> {
  const connection = await connectionOf(context, credentialId);
  const { objects } = await context.inspect.call((client, options) =>
    client.pinObjects({ connection, keys: [...keys] }, options),
  );
  return new Map(
    objects.map(({ key, etag, versionId, size }) => [key, { etag, versionId, size: Number(size) }]),
  );
}
