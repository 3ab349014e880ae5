import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspectPrivateKeys } from "../src/index.ts";
import { createGpg, type Gpg, hasGpg } from "./gpg.ts";
import { codeOf, outcome } from "./messages.ts";

const passphrase = "correct horse";
const text = Buffer.from(
  Array.from({ length: 20_000 }, (_, i) => `${i},${(i * 7919) % 10007},row\n`).join(""),
);

describe.skipIf(!hasGpg)(`messages made by gpg${hasGpg ? "" : " (gpg absent)"}`, () => {
  let gpg: Gpg;
  let keyring: string;

  beforeAll(() => {
    gpg = createGpg(passphrase);
    const parameters = (type: string, subkey: string, name: string): Buffer =>
      Buffer.from(
        `Key-Type: ${type}\nSubkey-Type: ${subkey}\nName-Email: ${name}\nExpire-Date: 0\n`,
      );
    const rsa = "RSA\nKey-Length: 2048";
    gpg.run(["--gen-key"], parameters(rsa, "RSA\nSubkey-Length: 2048", "rsa@example.org"));
    gpg.run(
      ["--gen-key"],
      parameters("EDDSA\nKey-Curve: ed25519", "ECDH\nSubkey-Curve: cv25519", "ecc@example.org"),
    );
    // Both keys in one block, as a key ring is exported.
    keyring = gpg.run(["--armor", "--export-secret-keys"]).toString("latin1");
  }, 60_000);
  afterAll(() => gpg[Symbol.dispose]());

  const keys = (): { privateKeyBlocks: string[]; passphrase: string } => ({
    privateKeyBlocks: [keyring],
    passphrase,
  });
  const to = (name: string): string[] => ["--encrypt", "--recipient", `${name}@example.org`];

  test.each([
    ["RSA", to("rsa")],
    ["RSA, armored", [...to("rsa"), "--armor"]],
    ["Curve25519", to("ecc")],
    ["Curve25519, armored, with a comment", [...to("ecc"), "--armor", "--comment", "hello"]],
    ["both keys", [...to("rsa"), ...to("ecc").slice(1)]],
    ["a hidden recipient", ["--encrypt", "--hidden-recipient", "rsa@example.org"]],
    ["a hidden recipient with Curve25519", ["--encrypt", "--hidden-recipient", "ecc@example.org"]],
    ["a passphrase", ["--symmetric"]],
    ["a passphrase, armored", ["--symmetric", "--armor"]],
    ["a passphrase or a key", ["--symmetric", ...to("ecc")]],
    ["RSA with ZIP", [...to("rsa"), "--compress-algo", "zip"]],
    ["RSA with ZLIB", [...to("rsa"), "--compress-algo", "zlib"]],
    ["RSA with BZip2", [...to("rsa"), "--compress-algo", "bzip2"]],
    ["RSA without compression", [...to("rsa"), "--compress-algo", "none"]],
    ["RSA, signed", [...to("rsa"), "--sign", "--local-user", "ecc@example.org"]],
    ["RSA, signed, not compressed", [...to("rsa"), "--sign", "--compress-algo", "none"]],
    ["RSA with CAST5", [...to("rsa"), "--cipher-algo", "CAST5"]],
    ["RSA with Twofish", [...to("rsa"), "--cipher-algo", "TWOFISH"]],
    ["RSA with 3DES", [...to("rsa"), "--cipher-algo", "3DES"]],
    ["a passphrase with Blowfish", ["--symmetric", "--cipher-algo", "BLOWFISH"]],
    ["RSA with AES-128", [...to("rsa"), "--cipher-algo", "AES128"]],
  ])("open: %s", async (_, args) => {
    const message = gpg.run(args, text);
    const seen = await outcome(message, keys());
    expect(seen instanceof StageError ? seen.message : seen.equals(text)).toBe(true);
  });

  test.each([
    ["RSA with Camellia", [...to("rsa"), "--cipher-algo", "CAMELLIA256"], "Camellia"],
    ["a passphrase with Camellia", ["--symmetric", "--cipher-algo", "CAMELLIA128"], "Camellia-128"],
    ["RSA with IDEA", [...to("rsa"), "--cipher-algo", "IDEA"], "IDEA"],
  ])("are refused by the algorithm's name: %s", async (_, args, algorithm) => {
    const seen = await outcome(gpg.run(args, text), keys());
    expect(seen).toMatchObject({ code: "unsupported_algorithm" });
    expect(seen.toString()).toContain(algorithm);
  });

  test.each(["AES256", "BLOWFISH"])(
    "with a wrong passphrase and %s are never opened",
    async (cipher) => {
      const message = gpg.run(["--symmetric", "--cipher-algo", cipher], text);
      const wrong = (i: number): PgpKeys => ({ privateKeyBlocks: [], passphrase: `wrong ${i}` });
      const codes = new Set<unknown>();
      for (let i = 0; i < 6; i++) {
        codes.add(await codeOf(message, wrong(i), { stallTimeoutMs: 250 }));
      }
      // Blowfish has no check of its own: now and then a wrong key shows at the end only.
      if (cipher !== "AES256") codes.delete("integrity_failed");
      expect([...codes]).toEqual(["bad_passphrase"]);
    },
    30_000,
  );

  test("show their keys as gpg names them", async () => {
    const facts = await inspectPrivateKeys([keyring], passphrase);
    const listed = gpg.run(["--with-colons", "--list-keys"]).toString();
    expect(facts).toHaveLength(2);
    for (const { fingerprint, keyIds } of facts) {
      expect(listed).toContain(`fpr:::::::::${fingerprint.toUpperCase()}:`);
      for (const id of keyIds) expect(listed).toContain(`:${id}:`);
    }
  });

  test("are told from messages that are only signed or packed", async () => {
    for (const args of [["--sign"], ["--store"], ["--clearsign"]]) {
      expect(await codeOf(gpg.run(args, text), keys())).toBe("not_encrypted");
    }
  });
});
