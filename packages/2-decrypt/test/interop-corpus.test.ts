import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StageError } from "@sluice/errors";
import {
  type DecryptedSessionKey,
  decrypt,
  decryptKey,
  decryptSessionKeys,
  enums,
  type Message,
  type PrivateKey,
  readMessage,
  readPrivateKeys,
} from "openpgp";
import { describe, expect, test } from "vitest";
import { createGpg, hasGpg } from "./gpg.ts";
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

/** The keys of a block, unlocked by openpgp.js. */
async function unlocked(block: string, passphrase: string): Promise<PrivateKey[]> {
  const keys = await readPrivateKeys({ armoredKeys: block });
  return await Promise.all(
    keys.map(async (privateKey) =>
      privateKey.isDecrypted() ? privateKey : await decryptKey({ privateKey, passphrase }),
    ),
  );
}

async function byOpenpgp(decryptionKeys: PrivateKey[], message: string): Promise<Buffer> {
  const read = async (): Promise<Message<string>> => await readMessage({ armoredMessage: message });
  const { aes128, aes192, aes256, tripledes, cast5, twofish, blowfish } = enums.symmetric;
  for (const cipher of [aes128, aes192, aes256, tripledes, cast5, twofish, blowfish]) {
    const keyOf = async (): Promise<DecryptedSessionKey | undefined> => {
      const config = {
        allowMissingKeyFlags: true,
        // It refuses ciphers that a key's owner does not list, unless it looks for them alone.
        constantTimePKCS1Decryption: true,
        constantTimePKCS1DecryptionSupportedSymmetricAlgorithms: new Set([cipher]),
      };
      const [first] = await decryptSessionKeys({ message: await read(), decryptionKeys, config });
      return first;
    };
    // For another cipher than the message's it gives a key that is random each time.
    const [first, second] = [await keyOf(), await keyOf()];
    if (first === undefined || second === undefined) continue;
    if (Buffer.compare(first.data, second.data) !== 0) continue;
    const algorithm = first.algorithm ?? enums.read(enums.symmetric, cipher);
    const sessionKeys = { data: first.data, algorithm };
    const { data } = await decrypt({ message: await read(), sessionKeys, format: "binary" });
    return Buffer.from(data);
  }
  throw new Error("openpgp.js does not open it");
}

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

  test.skipIf(!hasGpg)(
    "what opens is what openpgp.js and gpg make of it, byte for byte",
    async () => {
      let compared = 0;
      using gpg = createGpg("");
      for (const name of cases) {
        const declared: Case = JSON.parse(readFileSync(join(folder, name), "utf8"));
        const message = readFileSync(join(folder, name.replace(/\.json$/, ".asc")), "utf8");
        const keyFile = join(folder, declared.decryptKey);
        if (!existsSync(keyFile)) continue;
        const block = readFileSync(keyFile, "utf8");
        const ours = await outcome(Buffer.from(message), {
          privateKeyBlocks: [block],
          passphrase: declared.passphrase,
        });
        if (ours instanceof StageError) continue;
        const keys = await unlocked(block, declared.passphrase);
        expect(await byOpenpgp(keys, message), name).toEqual(ours);
        // Without a passphrase: gpg takes two seconds to open a key that has one.
        for (const key of keys) gpg.run(["--import"], Buffer.from(key.armor()));
        const gpgs = gpg.run(["--decrypt"], Buffer.from(message)).toString("latin1");
        // gpg writes literal data that says it is text with the line ends of its system.
        const theirs = [ours.toString("latin1"), ours.toString("latin1").replaceAll("\r", "")];
        expect(theirs, name).toContain(gpgs);
        compared++;
      }
      expect(compared).toBe(34);
    },
  );

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
