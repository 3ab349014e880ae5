import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { DatabaseHandle } from "./database/database.ts";
import type { Schema } from "./database/schema.ts";
import type { Inspector } from "./inspect.ts";
import type { SecretBox } from "./secrets/secret-box.ts";
import type { Tenant } from "./tenant.ts";

/** What every service works with. */
export interface ControlContext {
  readonly kysely: Kysely<Schema>;
  /** For pg-boss alone. */
  readonly handle: DatabaseHandle;
  readonly secrets: SecretBox;
  readonly inspect: Inspector;
  readonly log: Logger;
  /** The platform's role for a tenant, with `{tenant}` where the tenant's name goes. */
  readonly platformRoleArn: string;
  /** Origins of the S3-compatible stores that credentials may name, beside AWS. */
  readonly allowedEndpoints: ReadonlySet<string>;
  /** Whose call it is. */
  readonly tenant: () => Tenant;
  /** Aborts with a ConnectError when the service stops: what waits ends with its reason. */
  readonly shutdown: AbortSignal;
}
