import type { PgpKeys } from "@sluice/schema";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGpg, type Gpg, hasGpg } from "./gpg.ts";
import { newKey, outcome } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(50));
const other = await newKey();

describe.skipIf(!hasGpg)(`messages signed by gpg${hasGpg ? "" : " (gpg absent)"}`, () => {
  let gpg: Gpg;
  let held: PgpKeys;
  beforeAll(() => {
    gpg = createGpg("correct horse");
    const parameters =
      "Key-Type: RSA\nKey-Length: 2048\nSubkey-Type: ECDH\nSubkey-Curve: nistp256\n";
    gpg.run(
      ["--gen-key"],
      Buffer.from(`${parameters}Name-Email: rsa@example.org\nExpire-Date: 0\n`),
    );
    gpg.run(
      ["--gen-key"],
      Buffer.from(
        "Key-Type: EDDSA\nKey-Curve: ed25519\nName-Email: ecc@example.org\nExpire-Date: 0\n",
      ),
    );
    held = {
      privateKeyBlocks: [
        gpg.run(["--armor", "--export-secret-keys", "rsa@example.org"]).toString(),
      ],
      passphrase: "correct horse",
      signerPublicKeys: [gpg.run(["--armor", "--export"]).toString()],
    };
  }, 60_000);
  afterAll(() => gpg[Symbol.dispose]());

  test.each([
    ["RSA and SHA-512", ["--digest-algo", "SHA512", "--local-user", "rsa@example.org"]],
    ["Ed25519", ["--local-user", "ecc@example.org"]],
    ["two keys", ["--local-user", "rsa@example.org", "--local-user", "ecc@example.org"]],
    ["text with line ends", ["--textmode", "--local-user", "rsa@example.org"]],
    ["data that is not packed", ["--compress-algo", "none", "--local-user", "ecc@example.org"]],
  ])("open: %s", async (name, args) => {
    const message = gpg.run(
      ["--sign", "--encrypt", "--recipient", "rsa@example.org", ...args],
      text,
    );
    // gpg writes text with CR LF, as its signature has it.
    const expected = name.startsWith("text")
      ? Buffer.from(text.toString().replaceAll("\n", "\r\n"))
      : text;
    expect(await outcome(message, held)).toEqual(expected);
    const stranger = { ...held, signerPublicKeys: [other.key.toPublic().armor()] };
    expect(await outcome(message, stranger)).toMatchObject({ code: "signature_invalid" });
  });
});
