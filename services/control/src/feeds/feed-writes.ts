import { toJsonString } from "@bufbuild/protobuf";
import { type FeedSpec, FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import type { Transaction } from "kysely";
import type { Schema } from "../database/schema.ts";
import { makeEtag, toNameKey } from "../resources/identity.ts";
import { isViolationOf, nameTaken } from "../resources/resource-errors.ts";
import { ensureSource } from "../sources/source-rows.ts";
import { assertNoCustomTable } from "../tables/custom-table-rows.ts";
import type { Tenant } from "../tenant.ts";

/** A draft that was judged already. */
export interface DraftFeed {
  readonly source: string;
  readonly name: string;
  readonly spec: FeedSpec;
}

/** Writes a feed that is a draft, and its source if there is none; ALREADY_EXISTS when its name is taken. */
export async function insertFeed(
  transaction: Transaction<Schema>,
  tenant: Tenant,
  id: string,
  { source, name, spec }: DraftFeed,
): Promise<void> {
  const sourceId = await ensureSource(transaction, tenant, source);
  await assertNoCustomTable(transaction, { tenant, sourceId, name });
  try {
    await transaction
      .insertInto("feed")
      .values({
        tenant,
        id,
        source_id: sourceId,
        name,
        name_key: toNameKey(name),
        version: 0,
        draft: toJsonString(FeedSpecSchema, spec),
        etag: makeEtag(),
      })
      .execute();
  } catch (error) {
    throw isViolationOf(error, "feed_name_taken") ? nameTaken("feed", name) : error;
  }
}
