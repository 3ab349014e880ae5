/**
 * Whose rows a call reads and writes. Every table carries it and every query names it, so that the
 * day it comes from the caller's credential this file is the only one that changes.
 */
export type Tenant = string;

/** The tenant of the caller. One for the whole installation until callers have credentials. */
export function currentTenant(): Tenant {
  return "default";
}
