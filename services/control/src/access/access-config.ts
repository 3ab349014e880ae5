import { join } from "node:path";
import { type Environment, flag, text, whole, wrong } from "../settings.ts";
import { TENANT_NAME } from "../tenant.ts";
import { type OidcOptions, SIGNATURES } from "./token-check.ts";
import { LEAST_WORKER_KEY_LENGTH } from "./worker-key.ts";

/** What the operator decides about who may call. */
export interface AccessConfig {
  /** SLUICE_TENANTS. Names, separated by commas; the first is that of tokens without a tenant. */
  readonly tenants: readonly string[];
  /** SLUICE_ADMIN_KEY_FILE. Where the first admin key is, or is written when there is none. */
  readonly adminKeyFile: string;
  /** SLUICE_NEW_ADMIN_KEY. Makes one when that file is not there, though others hold: for who lost theirs. */
  readonly newAdminKey: boolean;
  /** SLUICE_WORKER_KEY. What workers and control show each other; the one of the file when not set. */
  readonly workerKey?: string;
  /** SLUICE_WORKER_KEY_FILE. Made once when it is not there. */
  readonly workerKeyFile: string;
  /** SLUICE_OIDC_*. Tokens open nothing when not set. */
  readonly oidc?: OidcOptions;
  /** SLUICE_RATE_PER_SECOND and SLUICE_RATE_BURST. Calls of one credential; in each replica by itself. */
  readonly rateLimit: { readonly perSecond: number; readonly burst: number };
  /** SLUICE_KEY_MEMORY_MS. How long what was found about a key is taken for true: a key that another replica revoked opens so long. */
  readonly rememberKeyMs: number;
}

/** Reads the settings; throws as readConfig does. Paths that are not set lie in `directory`. */
export function readAccessConfig(environment: Environment, directory: string): AccessConfig {
  const oidc = readOidc(environment);
  const workerKey = text(environment, "SLUICE_WORKER_KEY");
  if (workerKey !== undefined && workerKey.length < LEAST_WORKER_KEY_LENGTH) {
    throw wrong("SLUICE_WORKER_KEY", `${LEAST_WORKER_KEY_LENGTH} characters at least`);
  }
  return {
    tenants: readTenants(environment),
    adminKeyFile: text(environment, "SLUICE_ADMIN_KEY_FILE") ?? join(directory, "admin.key"),
    newAdminKey: flag(environment, "SLUICE_NEW_ADMIN_KEY", false),
    ...(workerKey === undefined ? {} : { workerKey }),
    workerKeyFile: text(environment, "SLUICE_WORKER_KEY_FILE") ?? join(directory, "worker.key"),
    ...(oidc === undefined ? {} : { oidc }),
    rateLimit: {
      perSecond: whole(environment, "SLUICE_RATE_PER_SECOND", {
        fallback: 200,
        min: 1,
        max: 1_000_000,
      }),
      burst: whole(environment, "SLUICE_RATE_BURST", { fallback: 1000, min: 1, max: 1_000_000 }),
    },
    rememberKeyMs: whole(environment, "SLUICE_KEY_MEMORY_MS", {
      fallback: 30_000,
      min: 0,
      max: 60_000,
    }),
  };
}

function readTenants(environment: Environment): string[] {
  const name = "SLUICE_TENANTS";
  const tenants = (text(environment, name) ?? "default").split(",").map((item) => item.trim());
  for (const tenant of tenants) {
    if (!TENANT_NAME.test(tenant)) {
      throw wrong(name, "names of lower case letters, digits and -, separated by commas", tenant);
    }
  }
  return [...new Set(tenants)];
}

function readOidc(environment: Environment): OidcOptions | undefined {
  const issuer = text(environment, "SLUICE_OIDC_ISSUER");
  const audience = text(environment, "SLUICE_OIDC_AUDIENCE");
  const jwks = text(environment, "SLUICE_OIDC_JWKS");
  if (issuer === undefined && audience === undefined && jwks === undefined) return undefined;
  if (issuer === undefined || audience === undefined || jwks === undefined) {
    const missing = Object.entries({ ISSUER: issuer, AUDIENCE: audience, JWKS: jwks }).find(
      ([, value]) => value === undefined,
    );
    throw wrong(`SLUICE_OIDC_${missing?.[0]}`, "all of ISSUER, AUDIENCE and JWKS, or none");
  }
  if (/^[a-z]+:\/\//i.test(jwks) && !/^https:\/\/[^/]/.test(jwks)) {
    throw wrong("SLUICE_OIDC_JWKS", "an https address or the path of a file", jwks);
  }
  const algorithms = (text(environment, "SLUICE_OIDC_ALGORITHMS") ?? "RS256,ES256")
    .split(",")
    .map((item) => item.trim());
  for (const algorithm of algorithms) {
    if (!SIGNATURES.includes(algorithm)) {
      throw wrong("SLUICE_OIDC_ALGORITHMS", `some of ${SIGNATURES.join(", ")}`, algorithm);
    }
  }
  return {
    issuer,
    audience,
    jwks,
    algorithms,
    roleClaim: text(environment, "SLUICE_OIDC_ROLE_CLAIM") ?? "sluice_role",
    tenantClaim: text(environment, "SLUICE_OIDC_TENANT_CLAIM") ?? "",
  };
}
