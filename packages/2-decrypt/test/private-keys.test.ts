import { generateKey } from "openpgp";
import { expect, test } from "vitest";
import { inspectPrivateKeys } from "../src/index.ts";
import { newKey } from "./messages.ts";

const { armored, key } = await newKey("open sesame");

test("shows a key's fingerprint, key ids and user ids", async () => {
  expect(await inspectPrivateKeys([armored], "open sesame")).toEqual([
    {
      fingerprint: key.getFingerprint(),
      keyIds: key.getKeys().map((part) => part.getKeyID().toHex().toUpperCase()),
      userIds: ["Test <test@example.org>"],
    },
  ]);
});

test("takes a key without a passphrase", async () => {
  const open = await newKey();
  expect(await inspectPrivateKeys([open.armored])).toHaveLength(1);
});

test.each([["wrong"], [undefined]])(
  "passphrase %s does not open a locked key",
  async (passphrase) => {
    await expect(inspectPrivateKeys([armored], passphrase)).rejects.toMatchObject({
      stage: "decrypt",
      code: "bad_passphrase",
    });
  },
);

test("refuses a block of which only one key opens", async () => {
  const { armored: unlocked } = await newKey();
  await expect(inspectPrivateKeys([unlocked, armored], "wrong")).rejects.toMatchObject({
    code: "bad_passphrase",
  });
});

test.each([
  ["a public key", () => key.toPublic().armor()],
  ["text without a key block", () => "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"],
  ["text without a key block", () => ""],
  ["a damaged key block", () => armored.replace(/\n[A-Za-z0-9+/]{60}\n/, "\n")],
])("refuses %s", async (seen, block) => {
  await expect(inspectPrivateKeys([block()], "open sesame")).rejects.toMatchObject({
    stage: "decrypt",
    code: "unusable_key",
    seen,
  });
});

test("refuses a key that only signs", async () => {
  const { privateKey } = await generateKey({
    type: "ecc",
    userIDs: [{ email: "sign@example.org" }],
    subkeys: [{ sign: true }],
  });
  await expect(inspectPrivateKeys([privateKey])).rejects.toMatchObject({
    code: "unusable_key",
    seen: "a key that does not decrypt",
  });
});
