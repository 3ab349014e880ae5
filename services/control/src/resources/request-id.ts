import { Code, ConnectError } from "@connectrpc/connect";
import type { Kysely, Transaction } from "kysely";
import type { Schema } from "../database/schema.ts";
import type { SecretBox } from "../secrets/secret-box.ts";
import type { Tenant } from "../tenant.ts";

/** What repeating needs of the context. */
export interface RequestContext {
  readonly kysely: Kysely<Schema>;
  readonly secrets: SecretBox;
  readonly tenant: () => Tenant;
}

/** A call that makes something. */
export interface CreatingCall {
  /** The method's name: request ids of different methods don't meet. */
  readonly method: string;
  /** Empty when the caller gave none. */
  readonly requestId: string;
  /** The request without its id, in binary. */
  readonly body: Uint8Array;
}

/**
 * The id of what an earlier call with the same request id made; undefined when there was none, or
 * when the call has no request id. The same request id with a different body is ALREADY_EXISTS:
 * nothing was made for this body, and repeating will not change that.
 */
export async function findMade(
  context: RequestContext,
  call: CreatingCall,
  kysely: Kysely<Schema> = context.kysely,
): Promise<string | undefined> {
  if (call.requestId === "") {
    return undefined;
  }
  const row = await kysely
    .selectFrom("request")
    .select(["digest", "resource_id"])
    .where("tenant", "=", context.tenant())
    .where("method", "=", call.method)
    .where("request_id", "=", call.requestId)
    .executeTakeFirst();
  if (row === undefined) {
    return undefined;
  }
  if (!context.secrets.isDigest(call.body, row.digest)) {
    throw new ConnectError(
      "request_id: an earlier call with this request_id asked for something else",
      Code.AlreadyExists,
    );
  }
  return row.resource_id;
}

/**
 * Makes something once for a request id: `make` runs in a transaction together with the record of the
 * request, and a call that is repeated, also at the same time, gets the id of what the first one made.
 */
export async function makeOnce(
  context: RequestContext,
  call: CreatingCall,
  id: string,
  make: (transaction: Transaction<Schema>, id: string) => Promise<void>,
): Promise<string> {
  return await context.kysely.transaction().execute(async (transaction) => {
    if (call.requestId !== "") {
      // A call that runs at the same time makes this one wait for its end.
      const recorded = await transaction
        .insertInto("request")
        .values({
          tenant: context.tenant(),
          method: call.method,
          request_id: call.requestId,
          digest: digest(context, call),
          resource_id: id,
        })
        .onConflict((conflict) => conflict.constraint("request_repeated").doNothing())
        .executeTakeFirst();
      if (recorded.numInsertedOrUpdatedRows === 0n) {
        const made = await findMade(context, call, transaction);
        if (made !== undefined) {
          return made;
        }
      }
    }
    await make(transaction, id);
    return id;
  });
}

function digest(context: RequestContext, call: CreatingCall): Buffer {
  return context.secrets.digest(call.body);
}
