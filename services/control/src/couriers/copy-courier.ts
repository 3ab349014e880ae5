import { toBinary } from "@bufbuild/protobuf";
import {
  type CopyCourierRequest,
  CopyCourierRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import type { Transaction } from "kysely";
import type { ControlContext } from "../context.ts";
import type { Schema } from "../database/schema.ts";
import { makeId, toNameKey } from "../resources/identity.ts";
import { makeOnce } from "../resources/request-id.ts";
import { readCourier } from "./courier-rows.ts";
import { insertCourier } from "./courier-writes.ts";

/** Characters of a courier's name, by its proto. */
const MAX_NAME = 200;

/** Makes a courier that loads the same files into the same feeds under another name, and gives its id. */
export async function copyCourier(
  context: ControlContext,
  request: CopyCourierRequest,
): Promise<string> {
  const tenant = context.tenant();
  const call = {
    method: "CopyCourier",
    requestId: request.requestId,
    body: toBinary(CopyCourierRequestSchema, { ...request, requestId: "" }),
  };
  return await makeOnce(context, call, makeId("cour"), async (transaction, id) => {
    const original = await readCourier(transaction, tenant, request.id);
    const name =
      request.name === "" ? await freeName(transaction, tenant, original.name) : request.name;
    await insertCourier(transaction, tenant, id, { ...original, name });
  });
}

/** "Copy of <name>", with the first number that makes it a name of its own. */
async function freeName(
  transaction: Transaction<Schema>,
  tenant: string,
  name: string,
): Promise<string> {
  for (let number = 1; ; number++) {
    const suffix = number === 1 ? "" : ` (${number})`;
    const candidate = `Copy of ${name}`.slice(0, MAX_NAME - suffix.length) + suffix;
    const taken = await transaction
      .selectFrom("courier")
      .select("id")
      .where("tenant", "=", tenant)
      .where("name_key", "=", toNameKey(candidate))
      .executeTakeFirst();
    if (taken === undefined) return candidate;
  }
}
