import { Code, ConnectError, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import type { AccessService } from "@sluice/api/control/v1/access_service_pb";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Schema } from "../database/schema.ts";
import { createLoop, type Loop } from "../loop.ts";
import type { Tenant } from "../tenant.ts";
import { currentTenant } from "../tenant.ts";
import { createAccessService } from "./access-service.ts";
import { createApiKeyCheck } from "./api-key-check.ts";
import { endLostAudits } from "./audit-log.ts";
import { authorize } from "./authorize.ts";
import { type Caller, notValid } from "./caller.ts";
import { createRateLimit, type RateLimitOptions } from "./rate-limit.ts";
import { createTokenCheck, type OidcOptions } from "./token-check.ts";

export interface AccessOptions {
  readonly kysely: Kysely<Schema>;
  readonly log: Logger;
  readonly tenants: readonly Tenant[];
  readonly workerKey: string;
  readonly oidc?: OidcOptions;
  readonly rateLimit: RateLimitOptions;
  /** How long what was found about a key is taken for true. */
  readonly rememberKeyMs: number;
  /** No call lasts longer, but for streams. */
  readonly longestCallMs: number;
  /** Called when an entry of the audit log could not be written. */
  readonly onAuditFailure: () => void;
}

/** Between two looks for calls that were cut off. */
const LOST_AUDITS_MS = 60_000;

/** Who may call, and what was done. */
export interface Access extends Pick<Loop, "start" | "stop"> {
  /** To stand before everything that does something. */
  readonly interceptor: Interceptor;
  readonly service: ServiceImpl<typeof AccessService>;
}

export function createAccess(options: AccessOptions): Access {
  const { kysely, log, tenants, rememberKeyMs } = options;
  const keys = createApiKeyCheck({ kysely, tenants: new Set(tenants), rememberMs: rememberKeyMs });
  const tokens = options.oidc === undefined ? undefined : createTokenCheck(options.oidc, tenants);

  async function authenticate(header: string | null): Promise<Caller> {
    if (header === null || header.trim() === "") {
      throw new ConnectError(
        'a credential is needed: send "authorization: Bearer <API key>"',
        Code.Unauthenticated,
      );
    }
    const [, credential = ""] = /^Bearer +(\S+)$/i.exec(header.trim()) ?? [];
    if (tokens !== undefined && credential.split(".").length === 3) {
      return await tokens.check(credential);
    }
    if (credential === "") throw notValid();
    return await keys.check(credential);
  }

  const lostAudits = createLoop({
    name: "calls that were cut off",
    log,
    longestPauseMs: LOST_AUDITS_MS,
    async round() {
      const lost = await endLostAudits(kysely, options.longestCallMs);
      if (lost > 0) log.warn({ lost }, "calls were cut off; the audit log has them as unfinished");
      return undefined;
    },
  });

  return {
    start: () => lostAudits.start(),
    stop: async () => await lostAudits.stop(),
    interceptor: authorize({
      kysely,
      log,
      workerKey: options.workerKey,
      authenticate,
      onAuditFailure: options.onAuditFailure,
      rateLimit: createRateLimit(options.rateLimit),
      recheckMs: rememberKeyMs,
    }),
    service: createAccessService({
      kysely,
      tenant: currentTenant,
      forgetKey: (prefix) => keys.forget(prefix),
    }),
  };
}
