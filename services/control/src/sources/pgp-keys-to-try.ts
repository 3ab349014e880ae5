import type { EntrySpec, FileSettings } from "@sluice/api/control/v1/file_settings_pb";
import type { Connection, PgpKeys } from "@sluice/api/ingest/v1/task_pb";
import type { ControlContext } from "../context.ts";
import { pgpKeysOf } from "../credentials/credential-access.ts";
import { toCredential } from "../credentials/credential-rows.ts";
import { platformIdentity } from "../credentials/platform-identity.ts";
import { namesFormat } from "./preview-access.ts";

/** PGP credentials that are tried on a message of which nobody says what opens it. */
const MAX_TRIED = 20;

/** An object that is looked at. */
export interface LookedAt {
  readonly connection: Connection;
  readonly key: string;
  readonly settings?: FileSettings | undefined;
  /** A PGP credential to try; empty for none in particular. */
  readonly pgpCredentialId?: string;
}

/**
 * The secrets that the settings name, of the file and of the entries in it, by the credential's id. While they leave
 * open what is around the file, and name none: the given credential's, or those that may open the object. No secret
 * leaves for an object that is no encrypted message, or one that none of the tenant's credentials fits.
 */
export async function pgpKeysToTry(
  context: ControlContext,
  object: LookedAt,
): Promise<Record<string, PgpKeys>> {
  const { settings, pgpCredentialId = "" } = object;
  const named = [...pgpIdsIn(settings), ...(pgpCredentialId === "" ? [] : [pgpCredentialId])];
  const ids = named.length > 0 || namesFormat(settings) ? named : await fittingIds(context, object);
  const keys: Record<string, PgpKeys> = {};
  for (const id of new Set(ids)) keys[id] = await pgpKeysOf(context, id);
  return keys;
}

/** The credentials that may open the object: those with a key that it names first, then the newest. */
async function fittingIds(
  context: ControlContext,
  { connection, key }: LookedAt,
): Promise<string[]> {
  const held = await pgpCredentials(context);
  if (held.length === 0) return [];
  const { keyIds, others } = await context.inspect.call((client, options) =>
    client.findPgpRecipients({ connection, key }, options),
  );
  const wanted = new Set(keyIds.map((id) => id.toUpperCase()));
  const fitting = held.filter((each) => each.keyIds.some((id) => wanted.has(id.toUpperCase())));
  // Hidden recipients and passphrases are told by trying alone.
  const tried = others ? [...fitting, ...held] : fitting;
  return [...new Set(tried.map(({ id }) => id))].slice(0, MAX_TRIED);
}

/** The tenant's PGP credentials, the newest first, with the ids of their keys. */
async function pgpCredentials(
  context: ControlContext,
): Promise<{ readonly id: string; readonly keyIds: readonly string[] }[]> {
  const rows = await context.kysely
    .selectFrom("credential")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .where("plugin", "=", "pgp")
    .orderBy("create_time", "desc")
    .execute();
  const identity = await platformIdentity(context);
  return rows.map((row) => {
    const { kind } = toCredential(row, identity);
    return { id: row.id, keyIds: kind.case === "pgp" ? kind.value.keyIds : [] };
  });
}

function pgpIdsIn(settings: FileSettings | undefined): string[] {
  const own = settings?.encryption.case === "pgp" ? [settings.encryption.value.credentialId] : [];
  const entries: readonly EntrySpec[] = settings?.archive?.entries ?? [];
  return [...own, ...entries.flatMap((entry) => pgpIdsIn(entry.settings))];
}
