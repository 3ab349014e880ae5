import { stageContract } from "@sluice/streams/testing";
import { armor, enums } from "openpgp";
import { decrypt } from "../src/index.ts";
import { newKey, seal } from "./messages.ts";

const text = Buffer.from(Array.from({ length: 3000 }, (_, i) => `${i},${i * 31}\n`).join(""));
const { armored, key } = await newKey();
const keys = { privateKeyBlocks: [armored] };
const binary = await seal(text, { to: key });
const samples = {
  "a binary message": binary,
  "an armored message": Buffer.from(armor(enums.armor.message, binary)),
  "a message with authenticated pieces": await seal(text, {
    password: "secret",
    config: { aeadProtect: true, aeadChunkSizeByte: 2 },
  }),
};

for (const [name, sample] of Object.entries(samples)) {
  stageContract<Uint8Array>({
    name: `decrypt of ${name}`,
    stage: decrypt({ keys: { ...keys, passphrase: "secret" } }),
    sample,
    collect: (chunks) => Buffer.concat(chunks),
    empty: { code: "not_encrypted" },
    limited: {
      stage: decrypt({ keys: { ...keys, passphrase: "secret" }, maxOutputBytes: 1000 }),
      code: "limit_exceeded",
    },
  });
}
