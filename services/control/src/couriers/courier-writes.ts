import type { Courier } from "@sluice/api/control/v1/courier_pb";
import type { Transaction } from "kysely";
import type { Schema } from "../database/schema.ts";
import { makeEtag, toNameKey } from "../resources/identity.ts";
import { isViolationOf, nameTaken } from "../resources/resource-errors.ts";
import { feedsOf } from "./courier-feeds.ts";
import { courierToJson, credentialsOf } from "./courier-rows.ts";

/** Writes a courier, and what it needs; ALREADY_EXISTS when its name is taken. */
export async function insertCourier(
  transaction: Transaction<Schema>,
  tenant: string,
  id: string,
  courier: Courier,
): Promise<void> {
  await named(courier.name, () =>
    transaction
      .insertInto("courier")
      .values({
        tenant,
        id,
        name: courier.name,
        name_key: toNameKey(courier.name),
        credential_id: courier.credentialId,
        spec: courierToJson(courier),
        etag: makeEtag(),
      })
      .execute(),
  );
  await refer(transaction, tenant, id, courier);
}

/** Records what the courier needs: what it names can't be removed under it. */
export async function refer(
  transaction: Transaction<Schema>,
  tenant: string,
  id: string,
  courier: Courier,
): Promise<void> {
  await transaction
    .insertInto("courier_credential")
    .values(credentialsOf(courier).map((each) => ({ tenant, courier_id: id, credential_id: each })))
    .execute();
  const feeds = feedsOf(courier);
  if (feeds.length === 0) return;
  await transaction
    .insertInto("courier_feed")
    .values(feeds.map((each) => ({ tenant, courier_id: id, feed_id: each })))
    .execute();
}

/** Runs a write that may meet another courier of the same name. */
export async function named(name: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw isViolationOf(error, "courier_name_taken") ? nameTaken("courier", name) : error;
  }
}
