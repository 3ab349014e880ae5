import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { exportJWK, type JWTPayload, SignJWT } from "jose";

/** Signs tokens as an organisation's identity provider does, with a key of its own in a file. */
export interface IdentityProvider {
  /** SLUICE_OIDC_* for a service that trusts it. */
  readonly environment: Readonly<Record<string, string>>;
  /** A token that opens the API, but for what is said. */
  token(changes?: TokenChanges): Promise<string>;
  /** The public key in PEM, which everybody has: no shared secret. */
  readonly publicPem: string;
}

export interface TokenChanges {
  readonly claims?: JWTPayload;
  readonly issuer?: string;
  readonly audience?: string;
  /** Seconds from now; null for a token without an end. */
  readonly expiresIn?: number | null;
  readonly algorithm?: "RS256" | "PS256" | "HS256";
  readonly key?: KeyObject | Uint8Array;
}

const ISSUER = "https://login.example";
const AUDIENCE = "sluice";

export async function createIdentityProvider(jwksFile: string): Promise<IdentityProvider> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...(await exportJWK(publicKey)), kid: "one", use: "sig" };
  writeFileSync(jwksFile, JSON.stringify({ keys: [jwk] }));
  return {
    environment: {
      SLUICE_OIDC_ISSUER: ISSUER,
      SLUICE_OIDC_AUDIENCE: AUDIENCE,
      SLUICE_OIDC_JWKS: jwksFile,
      SLUICE_OIDC_TENANT_CLAIM: "tenant",
    },
    publicPem: createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString(),
    token: async (changes = {}) => {
      const claims = { sub: "ada", sluice_role: "admin", tenant: "default", ...changes.claims };
      const now = Math.floor(Date.now() / 1000);
      const { expiresIn = 300 } = changes;
      const token = new SignJWT(claims)
        .setProtectedHeader({ alg: changes.algorithm ?? "RS256", kid: "one" })
        .setIssuer(changes.issuer ?? ISSUER)
        .setAudience(changes.audience ?? AUDIENCE)
        .setIssuedAt(now - 60);
      if (expiresIn !== null) token.setExpirationTime(now + expiresIn);
      return await token.sign(changes.key ?? privateKey);
    },
  };
}

/** The same claims under a header that asks not to look at signatures. */
export function unsigned(token: string): string {
  const [, payload = ""] = token.split(".");
  const header = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  return `${header}.${payload}.`;
}
