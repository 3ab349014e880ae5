import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import { outcome } from "./messages.ts";

const folder = fileURLToPath(
  new URL("../../../../shared/corpora/openpgp-interop/testcases/messages/", import.meta.url),
);
const present = existsSync(folder);
const cases = present ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];

interface Case {
  readonly decryptKey: string;
  readonly passphrase: string;
  readonly textcontent: string;
}

describe.skipIf(!present)(`openpgp-interop messages${present ? "" : " (corpus absent)"}`, () => {
  const seen = new Map<string, string>();
  test.each(cases)(
    "%s",
    async (name) => {
      const declared: Case = JSON.parse(readFileSync(join(folder, name), "utf8"));
      const message = readFileSync(join(folder, name.replace(/\.json$/, ".asc")));
      const keyFile = join(folder, declared.decryptKey);
      const isKeyPresent = dirname(keyFile) === dirname(join(folder, "x")) && existsSync(keyFile);
      const result = await outcome(message, {
        privateKeyBlocks: isKeyPresent ? [readFileSync(keyFile, "utf8")] : [],
        passphrase: declared.passphrase,
      });
      const answer =
        result instanceof StageError ? `${result.code}: ${result.rawMessage}` : "plaintext";
      seen.set(name, answer);
      if (!(result instanceof StageError)) expect(result.toString()).toBe(declared.textcontent);
    },
    60_000,
  );
});
