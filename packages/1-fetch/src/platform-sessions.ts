import type { TimedKeys } from "./session.ts";

/**
 * Sessions of the platform's own roles, for sources that follow each other in one process: who we are is asked once, and
 * our role assumed once for its session's life, instead of once for each source. It says nothing about a customer: each
 * source assumes the customer's role by itself, so that access that was withdrawn opens none.
 *
 * A session is kept under all that it was asked with, the tenant's session name included: it serves no other tenant.
 */
export interface PlatformSessions {
  /** What is known of our identity under these facts; the same object each time, to be written into. */
  of(facts: PlatformFacts): PlatformIdentity;
}

export interface PlatformFacts {
  readonly platformRoleArn: string;
  readonly sessionName: string;
  readonly region: string;
  readonly stsEndpoint: string | undefined;
  /** Of the base identity; undefined for what the SDK's provider chain finds. */
  readonly accessKeyId: string | undefined;
}

export interface PlatformIdentity {
  /** Whether the base identity is a session of the platform's role already; undefined until it was asked. */
  isPlatformRole?: boolean;
  /** The last session of the platform's role. */
  session?: TimedKeys | undefined;
}

export function createPlatformSessions(): PlatformSessions {
  const identities = new Map<string, PlatformIdentity>();
  return {
    of({ platformRoleArn, sessionName, region, stsEndpoint, accessKeyId }) {
      const key = JSON.stringify([platformRoleArn, sessionName, region, stsEndpoint, accessKeyId]);
      const known = identities.get(key) ?? {};
      identities.set(key, known);
      return known;
    },
  };
}
