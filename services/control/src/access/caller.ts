import {
  Code,
  ConnectError,
  type ContextKey,
  type ContextValues,
  createContextKey,
} from "@connectrpc/connect";
import type { Tenant } from "../tenant.ts";
import type { ActorKind } from "./audit-log.ts";

/** What a caller may do; each role may all that the one before it may. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type RoleName = (typeof ROLES)[number];

/** Who calls, by the credential that came with the call. */
export interface Caller {
  readonly kind: Exclude<ActorKind, "service">;
  /** The API key's id, or the token's subject. */
  readonly actor: string;
  readonly tenant: Tenant;
  readonly role: RoleName;
}

/** A credential that opens nothing, of somebody who is known all the same: it is written down for their tenant. */
export class RefusedCredential extends Error {
  override name = "RefusedCredential";
  readonly known: Omit<Caller, "role">;
  constructor(message: string, known: Omit<Caller, "role">) {
    super(message);
    this.known = known;
  }
}

/** What the caller is told: UNAUTHENTICATED. */
export function toRefusal(error: unknown): unknown {
  return error instanceof RefusedCredential
    ? new ConnectError(error.message, Code.Unauthenticated)
    : error;
}

/** Who calls, for services that must know. Set before they are called. */
export const CALLER: ContextKey<Caller | undefined> = createContextKey<Caller | undefined>(
  undefined,
);
/** The address that the call came from; empty when the connection is gone already. */
export const ADDRESS: ContextKey<string> = createContextKey("");

export function callerOf(values: ContextValues): Caller {
  const caller = values.get(CALLER);
  if (caller === undefined) throw new Error("the method was called by nobody");
  return caller;
}

export function hasRole(caller: Caller, least: RoleName): boolean {
  return ROLES.indexOf(caller.role) >= ROLES.indexOf(least);
}

/** One message for everything that is no credential of ours: which of them it is, is nobody's business. */
export function notValid(): ConnectError {
  return new ConnectError("the credential is not valid", Code.Unauthenticated);
}
