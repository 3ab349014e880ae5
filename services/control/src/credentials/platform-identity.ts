import { randomBytes } from "node:crypto";
import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";
import type { Tenant } from "../tenant.ts";

/** Who the platform is to customers' accounts: one role and one external id per tenant (CR-4). */
export interface PlatformIdentity {
  readonly platformRoleArn: string;
  readonly externalId: string;
}

export interface PlatformContext {
  readonly kysely: Kysely<Schema>;
  readonly tenant: () => Tenant;
  /** With `{tenant}` where the tenant's name goes. */
  readonly platformRoleArn: string;
}

/** Makes the tenant's external id, once: customers write it into their trust policies. */
export async function registerTenant(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  keyId: string,
): Promise<void> {
  await kysely
    .insertInto("tenant")
    .values({ tenant, external_id: makeExternalId(), key_id: keyId })
    .onConflict((conflict) => conflict.column("tenant").doNothing())
    .execute();
}

export async function platformIdentity(context: PlatformContext): Promise<PlatformIdentity> {
  const tenant = context.tenant();
  const row = await context.kysely
    .selectFrom("tenant")
    .select("external_id")
    .where("tenant", "=", tenant)
    .executeTakeFirstOrThrow();
  return {
    platformRoleArn: context.platformRoleArn.replaceAll("{tenant}", tenant),
    externalId: row.external_id,
  };
}

/** The trust policy that a target role needs (CR-5): a complete document, ready to paste. */
export function renderTrustPolicy(identity: PlatformIdentity): string {
  const policy = {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "AllowSluiceAccess",
        Effect: "Allow",
        Principal: { AWS: identity.platformRoleArn },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "sts:ExternalId": identity.externalId } },
      },
    ],
  };
  return JSON.stringify(policy, null, 2);
}

/** Within what CR-7 allows, and not to be guessed: 160 random bits. */
function makeExternalId(): string {
  return `sluice-${randomBytes(20).toString("hex")}`;
}
