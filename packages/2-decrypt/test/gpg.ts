import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** GnuPG with a key ring of its own. */
export interface Gpg extends Disposable {
  run(args: readonly string[], input?: Uint8Array): Buffer;
}

export const hasGpg: boolean = spawnSync("gpg", ["--version"]).status === 0;

/** Creates an empty key ring; disposing it stops gpg's agent and removes the folder. */
export function createGpg(passphrase: string): Gpg {
  const home = mkdtempSync(join(tmpdir(), "sluice-gpg-"));
  const fixed = ["--homedir", home, "--batch", "--yes", "--quiet", "--no-options"];
  const trust = ["--trust-model", "always", "--pinentry-mode", "loopback"];
  return {
    run(args, input = new Uint8Array(0)) {
      return execFileSync("gpg", [...fixed, ...trust, "--passphrase", passphrase, ...args], {
        input,
        maxBuffer: 2 ** 26,
        stdio: ["pipe", "pipe", "pipe"],
      });
    },
    [Symbol.dispose]() {
      spawnSync("gpgconf", ["--homedir", home, "--kill", "all"]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
