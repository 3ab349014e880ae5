import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
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

/** Messages that are not opened, and why. */
const REFUSED: Readonly<Record<string, readonly [code: string, words: string]>> = {
  "pgp-10-0-007.json": ["unsupported_algorithm", "IDEA"],
  // Its secret numbers are longer than the curve's: GnuPG 2.1.5 wrote them with a zero in front.
  "gnupg-v2-1-5-001.json": ["unusable_key", "cannot be read"],
};

describe.skipIf(!present)(`openpgp-interop messages${present ? "" : " (corpus absent)"}`, () => {
  const counts = new Map<string, number>();

  test.each(cases)("%s", async (name) => {
    const declared: Case = JSON.parse(readFileSync(join(folder, name), "utf8"));
    const message = readFileSync(join(folder, name.replace(/\.json$/, ".asc")));
    const keyFile = join(folder, declared.decryptKey);
    const isKeyPresent = existsSync(keyFile);
    const result = await outcome(message, {
      privateKeyBlocks: isKeyPresent ? [readFileSync(keyFile, "utf8")] : [],
      passphrase: declared.passphrase,
    });
    const answer = result instanceof StageError ? result.code : "plaintext";
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
    if (!(result instanceof StageError)) {
      expect(result.toString()).toBe(declared.textcontent);
    } else if (isKeyPresent) {
      const [code, words] = REFUSED[name] ?? ["plaintext", ""];
      expect(result.code).toBe(code);
      expect(result.rawMessage).toContain(words);
    } else {
      expect(result).toMatchObject({ code: "no_matching_key", expected: "no key is held" });
    }
  });

  // The three Camellia messages are to a key that the corpus does not hold.
  test("34 of 39 open, and each other one has its code", () => {
    expect(Object.fromEntries(counts)).toEqual({
      plaintext: 34,
      no_matching_key: 3,
      unsupported_algorithm: 1,
      unusable_key: 1,
    });
  });
});
