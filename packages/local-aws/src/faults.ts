import { randomUUID } from "node:crypto";
import type { S3ErrorCode } from "./s3-error.ts";
import { wildcard } from "./wildcard.ts";

/** The switchboard of faults: what goes wrong, for which requests, how often. */

export type FaultEffect =
  /** Answers with an error before anything else is looked at. */
  | { readonly kind: "error"; readonly code: S3ErrorCode; readonly status?: number }
  /** Resets the connection (RST) after so many bytes of the body; on operations without one, instead of answering. */
  | { readonly kind: "reset"; readonly afterBytes: number }
  /** Closes the connection cleanly (FIN) after so many bytes, fewer than Content-Length promised. */
  | { readonly kind: "short-body"; readonly afterBytes: number }
  /** Sends nothing more after so many bytes, the connection kept open, until the faults are cleared. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /**
   * Replaces the object when so many bytes of it have been sent. The response goes on with the version it began with.
   * On HeadObject (if `operation` says so) the answer still tells of the old version.
   * The new version is `body`, or as long as the old one with every byte inverted.
   */
  | { readonly kind: "replace"; readonly afterBytes: number; readonly body?: string }
  /** Answers 200 and the whole object to a ranged request. */
  | { readonly kind: "ignore-range" }
  /** Ignores If-Match and its relatives. */
  | { readonly kind: "ignore-conditions" }
  /** Treats the caller's session token as expired. */
  | { readonly kind: "expire-token" }
  /** Denies the caller everything, sessions already issued included. */
  | { readonly kind: "revoke-access" };

export interface Fault {
  /** Chosen by the server when left out; a fault of the same id is replaced. */
  readonly id?: string;
  /** `*` and `?` are wildcards, as in the other patterns; everything matches when left out. */
  readonly bucket?: string;
  readonly key?: string;
  /** `GetObject`, `ListObjectsV2`, `AssumeRole` ...; the effects on a body fall on GetObject when left out. */
  readonly operation?: string;
  /** The caller's ARN; for a session its role's ARN matches too. */
  readonly principal?: string;
  /** Lets so many matching requests pass first; default 0. */
  readonly skip?: number;
  /** Fires so many times; without limit when left out. */
  readonly times?: number;
  readonly effect: FaultEffect;
}

export interface FaultSubject {
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** Empty while the caller is not known yet. */
  readonly principals: readonly string[];
}

export interface FaultBoard {
  add(fault: Fault): string;
  /** Removes one fault, or all; responses that stall go on. */
  clear(id?: string): void;
  /** How often each fault fired, removed ones included. */
  counts(): Record<string, number>;
  /** The effects that fall on this request, of the given kinds; each is counted as fired. */
  fire<K extends FaultEffect["kind"]>(
    subject: FaultSubject,
    kinds: readonly K[],
  ): Extract<FaultEffect, { kind: K }>[];
  /** Settles when the faults are next cleared. */
  cleared(): Promise<void>;
}

const BODY_KINDS: readonly string[] = ["short-body", "stall", "replace", "ignore-range", "reset"];

interface Entry {
  readonly id: string;
  readonly fault: Fault;
  seen: number;
  fired: number;
}

export function createFaultBoard(): FaultBoard {
  const entries = new Map<string, Entry>();
  const counts: Record<string, number> = {};
  let waiting = Promise.withResolvers<void>();

  return {
    add: (fault) => {
      assertFault(fault);
      const id = fault.id ?? randomUUID();
      entries.set(id, { id, fault, seen: 0, fired: 0 });
      counts[id] = 0;
      return id;
    },
    clear: (id) => {
      if (id === undefined) entries.clear();
      else entries.delete(id);
      waiting.resolve();
      waiting = Promise.withResolvers<void>();
    },
    counts: () => ({ ...counts }),
    fire: <K extends FaultEffect["kind"]>(subject: FaultSubject, kinds: readonly K[]) => {
      const effects: Extract<FaultEffect, { kind: K }>[] = [];
      for (const entry of entries.values()) {
        const { effect, skip = 0, times = Number.POSITIVE_INFINITY } = entry.fault;
        if (!isOfKind(effect, kinds) || !matches(entry.fault, subject)) continue;
        entry.seen++;
        if (entry.seen <= skip || entry.fired >= times) continue;
        entry.fired++;
        counts[entry.id] = entry.fired;
        effects.push(effect);
      }
      return effects;
    },
    cleared: () => waiting.promise,
  };
}

function isOfKind<K extends FaultEffect["kind"]>(
  effect: FaultEffect,
  kinds: readonly K[],
): effect is Extract<FaultEffect, { kind: K }> {
  return (kinds as readonly string[]).includes(effect.kind);
}

function matches(fault: Fault, subject: FaultSubject): boolean {
  const operation =
    fault.operation ?? (BODY_KINDS.includes(fault.effect.kind) ? "GetObject" : undefined);
  return (
    matchesPattern(operation, subject.operation) &&
    matchesPattern(fault.bucket, subject.bucket) &&
    matchesPattern(fault.key, subject.key) &&
    (fault.principal === undefined ||
      subject.principals.some((principal) => matchesPattern(fault.principal, principal)))
  );
}

function matchesPattern(pattern: string | undefined, text: string | undefined): boolean {
  return pattern === undefined || (text !== undefined && wildcard(pattern, text));
}

function assertFault(fault: Fault): void {
  const effect: Partial<FaultEffect> | undefined = fault.effect;
  if (effect?.kind === undefined || !Object.hasOwn(KINDS, effect.kind)) {
    throw new TypeError(`unknown fault; the kinds are ${Object.keys(KINDS).join(", ")}`);
  }
  if ("afterBytes" in effect !== (KINDS[effect.kind] === "needs afterBytes")) {
    throw new TypeError(`the fault ${effect.kind} and afterBytes do not go together as given`);
  }
}

const KINDS: Readonly<Record<FaultEffect["kind"], "needs afterBytes" | "">> = {
  error: "",
  reset: "needs afterBytes",
  "short-body": "needs afterBytes",
  stall: "needs afterBytes",
  replace: "needs afterBytes",
  "ignore-range": "",
  "ignore-conditions": "",
  "expire-token": "",
  "revoke-access": "",
};
