import { basename, dirname, join } from "node:path";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Schema } from "../database/schema.ts";
import type { Tenant } from "../tenant.ts";
import { makeApiKey, parseApiKey } from "./api-key.ts";
import { hasLiveAdminKey, insertApiKey } from "./api-key-rows.ts";
import { appendAudit } from "./audit-log.ts";
import { keepKeyFile, readKeyFile } from "./key-file.ts";

export interface FirstKeyOptions {
  readonly kysely: Kysely<Schema>;
  readonly log: Logger;
  /** The first is the one whose file has the configured name; those of the others begin with the tenant's name. */
  readonly tenants: readonly Tenant[];
  readonly file: string;
  /** Whether a key is made though there are others, when the file is not there. */
  readonly makeAnother: boolean;
}

/**
 * Sees to it that somebody can get in. The admin key in the file is made known if it is not yet; where there is neither
 * a file nor an admin key that holds, one is made and written to the file. A key that was revoked stays revoked.
 */
export async function provideFirstKeys(options: FirstKeyOptions): Promise<void> {
  const { kysely, log, tenants, file } = options;
  for (const [index, tenant] of tenants.entries()) {
    const path = index === 0 ? file : join(dirname(file), `${tenant}.${basename(file)}`);
    let text = readKeyFile(path);
    if (text === undefined) {
      if (!options.makeAnother && (await hasLiveAdminKey(kysely, tenant))) continue;
      // To the file first: a key that nobody has would keep everybody out.
      text = keepKeyFile(path, makeApiKey());
      log.info({ tenant, path }, "made an admin key; only the owner of the file can read it");
    }
    const key = parseApiKey(text);
    if (key === undefined) throw new Error(`${path} does not hold an API key`);
    await kysely.transaction().execute(async (trx) => {
      const about = { name: "first admin key", role: "admin", expireTime: null } as const;
      const row = await insertApiKey(trx, tenant, key, about);
      if (row === undefined) return;
      await appendAudit(trx, {
        tenant,
        actorKind: "service",
        actor: "start",
        role: "",
        method: "AccessService/CreateApiKey",
        resource: row.id,
        outcome: "ok",
        address: "",
      });
    });
  }
}
