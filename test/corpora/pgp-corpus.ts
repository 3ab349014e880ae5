import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ANY_BYTES, ANY_BYTES_FIELDS, judgeBytes } from "./any-bytes.ts";
import type { Corpus, CorpusCase } from "./corpus-case.ts";

interface Declared {
  readonly decryptKey?: string;
  readonly passphrase?: string;
  readonly textcontent?: string;
}

/** Messages `testcases/messages/*.asc`, each with a JSON that names its key, passphrase and plaintext. */
export function pgpCorpus(folder: string): Corpus | undefined {
  const messages = join(folder, "testcases", "messages");
  if (!existsSync(messages)) return undefined;
  const names = readdirSync(messages).filter((name) => name.endsWith(".json"));
  return { kind: "OpenPGP messages", cases: names.map((name) => toCase(messages, name)) };
}

function toCase(messages: string, name: string): CorpusCase {
  const declared: Declared = JSON.parse(readFileSync(join(messages, name), "utf8"));
  const keyFile = join(messages, declared.decryptKey ?? "");
  const hasKey = declared.decryptKey !== undefined && existsSync(keyFile);
  const plaintext = Buffer.from(declared.textcontent ?? "");
  const passphrase = declared.passphrase ?? "";
  return {
    name: name.replace(/\.json$/, ".asc"),
    bytes: readFileSync(join(messages, name.replace(/\.json$/, ".asc"))),
    settings: ANY_BYTES,
    fields: ANY_BYTES_FIELDS,
    keys: {
      privateKeyBlock: hasKey ? readFileSync(keyFile, "utf8") : "",
      // Without its key a message can only be refused; some passphrase stands for a credential at all.
      passphrase: hasKey || passphrase !== "" ? passphrase : "none",
    },
    expect: hasKey ? "loaded" : "refused",
    judge: judgeBytes(new Map([["", plaintext]])),
  };
}
