import { Code, ConnectError } from "@connectrpc/connect";

/** "credential cred_1 was not found". Another tenant's resource looks the same. */
export function notFound(kind: string, id: string): ConnectError {
  return new ConnectError(`${kind} ${JSON.stringify(id)} was not found`, Code.NotFound);
}

export function nameTaken(kind: string, name: string): ConnectError {
  return new ConnectError(
    `name: there is a ${kind} named ${JSON.stringify(name)} already`,
    Code.AlreadyExists,
  );
}

/** FAILED_PRECONDITION for a resource that others need. */
export function inUse(kind: string, id: string, users: readonly string[]): ConnectError {
  return new ConnectError(
    `${kind} ${JSON.stringify(id)} is used by ${users.join(", ")}`,
    Code.FailedPrecondition,
  );
}

/**
 * Throws ABORTED when a caller's etag is not the resource's: somebody else was faster, and the caller
 * has to read again. An empty etag asks for no such check.
 */
export function assertEtag(kind: string, asked: string, current: string): void {
  if (asked !== "" && asked !== current) {
    throw new ConnectError(
      `etag: the ${kind} was changed since it was read; read it again`,
      Code.Aborted,
    );
  }
}

/** Whether a query failed by this constraint, on either kind of database. */
export function isViolationOf(error: unknown, constraint: string): boolean {
  return error instanceof Error && "constraint" in error && error.constraint === constraint;
}
