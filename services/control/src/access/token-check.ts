import { readFileSync } from "node:fs";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import type { Tenant } from "../tenant.ts";
import { type Caller, notValid, ROLES, type RoleName } from "./caller.ts";

/** Which tokens of which identity provider open the API. */
export interface OidcOptions {
  /** What stands in `iss`, exactly. */
  readonly issuer: string;
  /** What has to be in `aud`: a token that was made for another service opens nothing here. */
  readonly audience: string;
  /** An https address, or the path of a file, with the provider's public keys. */
  readonly jwks: string;
  /** The signatures that are taken: never "none", never one with a shared secret. */
  readonly algorithms: readonly string[];
  /** The claim that holds the role, as text or in a list. */
  readonly roleClaim: string;
  /** The claim that holds the tenant; empty when all tokens are of the first tenant. */
  readonly tenantClaim: string;
}

/** Asymmetric signatures that may be allowed. */
export const SIGNATURES: readonly string[] = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

export interface TokenCheck {
  /** Who calls with this token, and until when, in milliseconds since 1970. UNAUTHENTICATED when it opens nothing. */
  check(token: string): Promise<Caller>;
}

/** Clocks of provider and service may differ by so much. */
const CLOCK_TOLERANCE_SECONDS = 5;

/** Checks JWTs. Reads the keys now when they are in a file; from an address, when they are needed. */
export function createTokenCheck(options: OidcOptions, tenants: readonly Tenant[]): TokenCheck {
  const keys = keysFrom(options.jwks);
  return {
    async check(token) {
      let payload: JWTPayload;
      try {
        ({ payload } = await jwtVerify(token, keys, {
          issuer: options.issuer,
          audience: options.audience,
          algorithms: [...options.algorithms],
          requiredClaims: ["exp", "sub"],
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
        }));
      } catch (error) {
        throw translate(error);
      }
      const tenant =
        options.tenantClaim === "" ? tenants[0] : textOf(payload[options.tenantClaim])[0];
      const role = highestRole(textOf(payload[options.roleClaim]));
      if (tenant === undefined || !tenants.includes(tenant) || role === undefined) {
        throw new ConnectError(
          "the token is valid, and names no role or tenant of this installation",
          Code.PermissionDenied,
        );
      }
      return { kind: "token", actor: payload.sub ?? "", tenant, role };
    },
  };
}

function keysFrom(jwks: string): JWTVerifyGetKey {
  if (/^https:/.test(jwks)) return createRemoteJWKSet(new URL(jwks));
  try {
    return createLocalJWKSet(JSON.parse(readFileSync(jwks, "utf8")) as JSONWebKeySet);
  } catch (cause) {
    throw new Error(`SLUICE_OIDC_JWKS: ${jwks} can't be read as a JWK set`, { cause });
  }
}

/** Whoever holds a signed token may know why it opens nothing; what is not signed right tells nothing. */
function translate(error: unknown): ConnectError {
  if (error instanceof errors.JWTExpired) {
    return new ConnectError("the token has expired", Code.Unauthenticated);
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new ConnectError(
      `the token's claim ${JSON.stringify(error.claim)} is not what this service takes`,
      Code.Unauthenticated,
    );
  }
  if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
    return new ConnectError(
      "the identity provider's keys can't be read now",
      Code.Unavailable,
      undefined,
      undefined,
      error,
    );
  }
  return notValid();
}

function textOf(claim: unknown): readonly string[] {
  if (typeof claim === "string") return [claim];
  return Array.isArray(claim) ? claim.filter((item) => typeof item === "string") : [];
}

function highestRole(named: readonly string[]): RoleName | undefined {
  return ROLES.toReversed().find((role) => named.includes(role));
}
