import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedData } from "./data/cached-data.ts";
import { shell } from "./tools.ts";

export const PGP_USER = "bench@sluice.example";

/** A home of gpg's that holds the benchmark's key. Disposing ends gpg's agent and removes it. */
export interface PgpKeys extends AsyncDisposable {
  readonly home: string;
  readonly privateKeyBlock: string;
}

/**
 * Made once and kept beside the messages that it opens; with gpg's own defaults, and without a passphrase, so that gpg asks
 * nobody.
 */
export async function openPgpKeys(): Promise<PgpKeys> {
  // In a folder with a short name: the agent's socket lies there.
  const home = await mkdtemp(join(tmpdir(), "bench-gpg-"));
  const environment = { GNUPGHOME: home };
  const [key] = await cachedData({ name: "pgp-key", rows: 1, version: 1 }, async (folder) => {
    await shell(
      `gpg --batch --quiet --passphrase '' --quick-generate-key ${PGP_USER} default default never
       gpg --batch --quiet --armor --export-secret-keys ${PGP_USER} > '${folder}/key.asc'`,
      environment,
    );
  });
  if (key === undefined) throw new Error("gpg exported no key");
  await shell(`gpg --batch --quiet --import '${key.path}'`, environment);
  return {
    home,
    privateKeyBlock: await readFile(key.path, "utf8"),
    async [Symbol.asyncDispose]() {
      await shell("gpgconf --kill all", environment);
      await rm(home, { recursive: true, force: true });
    },
  };
}
