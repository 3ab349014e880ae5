import { chunked } from "@sluice/streams/testing";
import { armor, createMessage, encrypt, enums } from "openpgp";
import { expect, test } from "vitest";
import { inspectPrivateKeys, readRecipients } from "../src/index.ts";
import { newKey, seal } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n");
const mine = await newKey();
const other = await newKey();

const recipients = (bytes: Uint8Array): ReturnType<typeof readRecipients> =>
  readRecipients(chunked(bytes, 16));
const idsOf = async (armored: string): Promise<readonly string[]> =>
  (await inspectPrivateKeys([armored], undefined)).flatMap(({ keyIds }) => keyIds);

test("a message names the keys that open it, without any of them, binary or armored", async () => {
  const message = await seal(text, { to: mine.key });
  const found = await recipients(message);
  expect(found).toEqual({ keyIds: [expect.stringMatching(/^[0-9A-F]{16}$/)], others: false });
  expect(await idsOf(mine.armored)).toContain(found?.keyIds[0]);
  expect(await idsOf(other.armored)).not.toContain(found?.keyIds[0]);
  const text64 = armor(enums.armor.message, message);
  expect(await recipients(Buffer.from(text64))).toEqual(found);
});

test("a passphrase and a hidden recipient may be anybody's", async () => {
  expect(await recipients(await seal(text, { password: "p" }))).toEqual({
    keyIds: [],
    others: true,
  });
  const both = await recipients(await seal(text, { to: mine.key, password: "p" }));
  expect(both).toMatchObject({ keyIds: [expect.any(String)], others: true });
  const hidden = await encrypt({
    message: await createMessage({ binary: new Uint8Array(text) }),
    encryptionKeys: mine.key.toPublic(),
    wildcard: true,
    format: "binary",
  });
  expect(await recipients(hidden)).toEqual({ keyIds: [], others: true });
});

test("what is no encrypted message, or cut before its data, is for nobody", async () => {
  const message = await seal(text, { to: mine.key });
  for (const bytes of [text, new Uint8Array(0), message.subarray(0, 20)]) {
    expect(await recipients(bytes)).toBeUndefined();
  }
});

test("no more is read than what stands before the data", async () => {
  const message = await seal(Buffer.alloc(100_000), { to: mine.key });
  let read = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunked(message, 256)) {
      read += chunk.byteLength;
      yield chunk;
    }
  }
  expect(await readRecipients(counted())).toMatchObject({ others: false });
  expect(read).toBeLessThan(1024);
});
