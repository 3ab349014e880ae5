import type { Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamResponse,
  type UnaryRequest,
} from "@connectrpc/connect";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Schema } from "../database/schema.ts";
import { asTenant, streamAsTenant } from "../tenant.ts";
import { type AuditEntry, appendAudit, beginAudit, endAudit } from "./audit-log.ts";
import { auditedResource } from "./audited-resource.ts";
import { ADDRESS, CALLER, type Caller, hasRole, RefusedCredential, toRefusal } from "./caller.ts";
import { accessOf, leastAccess } from "./method-access.ts";
import { createRateLimit, type RateLimit, tooManyCalls } from "./rate-limit.ts";
import { isWorkerAuthorization } from "./worker-key.ts";

type Request = Parameters<ReturnType<Interceptor>>[0];

export interface AuthorizeOptions {
  readonly kysely: Kysely<Schema>;
  readonly log: Logger;
  readonly workerKey: string;
  /** Who calls with this `authorization` header. UNAUTHENTICATED, or RefusedCredential, when it opens nothing. */
  readonly authenticate: (header: string | null) => Promise<Caller>;
  readonly rateLimit: RateLimit;
  /** Called when an entry of the audit log could not be written. */
  readonly onAuditFailure: () => void;
  /** How long a stream goes on before its credential is looked at again. */
  readonly recheckMs: number;
}

/** Refused calls of one known key that are written down: more say nothing new. */
const REFUSALS = { perSecond: 1, burst: 20 };
/** Methods that write their own entry, in the transaction of what they change. */
const SELF_AUDITED: ReadonlySet<string> = new Set([
  "AccessService/CreateApiKey",
  "AccessService/RevokeApiKey",
]);

/**
 * The one door: every call of every service comes through here, before anything is done for it. What the table does
 * not allow is refused. What changes something is written down with its outcome, and so is what was refused of somebody
 * who is known.
 */
export function authorize(options: AuthorizeOptions): Interceptor {
  const { kysely, log, authenticate } = options;
  const refusals = createRateLimit(REFUSALS);

  const append = async (entry: AuditEntry, intent?: number): Promise<void> => {
    try {
      if (intent === undefined) await appendAudit(kysely, entry);
      else await endAudit(kysely, intent, entry);
    } catch (error) {
      // What was done stays done; its intent is there and becomes an event, and the log knows the outcome.
      options.onAuditFailure();
      log.error({ err: error, audit: entry }, "an entry of the audit log could not be kept");
    }
  };
  /** Nothing is done that could not be written down. */
  const begin = async (request: Request, caller: Caller): Promise<number> => {
    try {
      return await beginAudit(kysely, entryOf(request, caller));
    } catch (cause) {
      options.onAuditFailure();
      const message = "the call can't be written down just now";
      throw new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
    }
  };
  const appendRefusal = async (request: Request, error: unknown): Promise<void> => {
    if (!(error instanceof RefusedCredential)) return;
    if (refusals.take(error.known.actor) > 0) return;
    await append({
      ...entryOf(request, error.known),
      role: "",
      outcome: outcomeOf(toRefusal(error)),
    });
  };

  return (next) => async (request) => {
    const access = accessOf(request.method);
    if (access === "anyone") return await next(request);
    const header = request.header.get("authorization");
    if (access === "worker") {
      if (isWorkerAuthorization(header, options.workerKey)) return await next(request);
      throw new ConnectError("a worker key is needed here", Code.Unauthenticated);
    }
    let caller: Caller;
    try {
      caller = await authenticate(header);
    } catch (error) {
      await appendRefusal(request, error);
      throw toRefusal(error);
    }
    const retryMs = options.rateLimit.take(`${caller.kind} ${caller.tenant} ${caller.actor}`);
    if (retryMs > 0) throw tooManyCalls(retryMs);

    const least = access && leastAccess(access, request.stream ? undefined : request.message);
    if (
      least === undefined ||
      least === "worker" ||
      least === "anyone" ||
      !hasRole(caller, least)
    ) {
      const error = new ConnectError(
        least === undefined
          ? "nobody may call this method"
          : `this takes the role ${least}, and the credential has the role ${caller.role}`,
        Code.PermissionDenied,
      );
      if (refusals.take(caller.actor) === 0) {
        await append({ ...entryOf(request, caller), outcome: outcomeOf(error) });
      }
      throw error;
    }

    request.contextValues.set(CALLER, caller);
    const intent = isAudited(request) ? await begin(request, caller) : undefined;
    const finish = async (outcome: string, answer?: Message): Promise<void> => {
      if (intent === undefined) return;
      await append({ ...entryOf(request, caller, answer), outcome }, intent);
    };
    try {
      const response = await asTenant(caller.tenant, () => next(request));
      if (response.stream) {
        return watched(response, caller, finish, () => recheck(options, header, caller));
      }
      await finish("ok", response.message);
      return response;
    } catch (error) {
      await finish(outcomeOf(error));
      throw error;
    }
  };
}

/** A stream ends with its credential, at the latest before the next answer after `recheckMs`. */
function recheck(
  { authenticate, recheckMs }: AuthorizeOptions,
  header: string | null,
  caller: Caller,
): () => Promise<void> {
  let checkedAt = performance.now();
  return async () => {
    if (performance.now() - checkedAt < recheckMs) return;
    checkedAt = performance.now();
    const { tenant, role } = await authenticate(header).catch((error: unknown) => {
      throw toRefusal(error);
    });
    if (tenant !== caller.tenant || role !== caller.role) {
      throw new ConnectError("the credential's rights have changed", Code.Unauthenticated);
    }
  };
}

function watched(
  response: StreamResponse,
  caller: Caller,
  finish: (outcome: string, answer?: Message) => Promise<void>,
  createRecheck: () => () => Promise<void>,
): StreamResponse {
  const check = createRecheck();
  const { message } = response;
  return {
    ...response,
    message: (async function* () {
      let last: Message | undefined;
      let outcome = "canceled";
      try {
        for await (const item of streamAsTenant(caller.tenant, message)) {
          await check();
          last = item;
          yield item;
        }
        outcome = "ok";
      } catch (error) {
        outcome = outcomeOf(error);
        throw error;
      } finally {
        await finish(outcome, last);
      }
    })(),
  };
}

/** What has side effects by the API's own word. */
function isAudited({ method }: Request): boolean {
  return (
    method.idempotency !== Idempotency.NO_SIDE_EFFECTS &&
    !SELF_AUDITED.has(`${method.parent.name}/${method.name}`)
  );
}

function entryOf(
  request: Request | UnaryRequest,
  caller: Omit<Caller, "role"> & Partial<Pick<Caller, "role">>,
  answer?: Message,
): Omit<AuditEntry, "outcome"> {
  const { method } = request;
  return {
    tenant: caller.tenant,
    actorKind: caller.kind,
    actor: caller.actor,
    role: caller.role ?? "",
    method: `${method.parent.name}/${method.name}`,
    resource: auditedResource(
      { desc: method.input, message: request.stream ? undefined : request.message },
      { desc: method.output, message: answer },
    ),
    address: request.contextValues.get(ADDRESS),
  };
}

/** The code as the Connect protocol writes it. */
function outcomeOf(error: unknown): string {
  const { code } = ConnectError.from(error);
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}
