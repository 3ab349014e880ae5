import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readOrMakeMasterKey } from "../src/secrets/master-key.ts";
import { createSecretBox, type SealedSecret } from "../src/secrets/secret-box.ts";

const box = createSecretBox(Buffer.alloc(32, 1));
const place = { tenant: "t", credentialId: "c", name: "passphrase", version: 1 };
const secret = Buffer.from("a secret");

const flipped = (bytes: Uint8Array, index: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
};

describe("a sealed secret", () => {
  test("opens where it was sealed", () => {
    expect(box.open(place, box.seal(place, secret)).toString()).toBe("a secret");
  });

  test("shows nothing, and looks different each time", () => {
    const [first, second] = [box.seal(place, secret), box.seal(place, secret)];
    expect(Buffer.from(first.sealed).includes(secret)).toBe(false);
    expect(Buffer.from(first.sealed).equals(second.sealed)).toBe(false);
    expect(Buffer.from(first.wrappedKey).equals(second.wrappedKey)).toBe(false);
  });

  test.each([
    ["another tenant", { tenant: "u" }],
    ["another credential", { credentialId: "d" }],
    ["another secret of the credential", { name: "private_key_block" }],
    ["another version", { version: 2 }],
  ])("does not open for %s", (_name, change) => {
    expect(() => box.open({ ...place, ...change }, box.seal(place, secret))).toThrow();
  });

  test("does not open when any byte was changed", () => {
    const sealed = box.seal(place, secret);
    for (const part of ["sealed", "wrappedKey"] as const) {
      for (let index = 0; index < sealed[part].length; index++) {
        const changed: SealedSecret = { ...sealed, [part]: flipped(sealed[part], index) };
        expect(() => box.open(place, changed)).toThrow();
      }
    }
  });

  test("does not open by another master key, which is told by name", () => {
    const other = createSecretBox(Buffer.alloc(32, 2));
    expect(() => other.open(place, box.seal(place, secret))).toThrow(box.keyId);
  });
});

test("a digest is the same for the same bytes and key alone", () => {
  const other = createSecretBox(Buffer.alloc(32, 2));
  expect(box.digest(secret).equals(box.digest(secret))).toBe(true);
  expect(box.digest(secret).equals(other.digest(secret))).toBe(false);
});

describe("the master key's file", () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-key-"));
  const path = join(directory, "master.key");
  afterAll(() => rmSync(directory, { recursive: true }));

  test("is made once, for its owner alone", () => {
    const key = readOrMakeMasterKey(directory);
    expect(key).toHaveLength(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(Buffer.from(readOrMakeMasterKey(directory)).equals(key)).toBe(true);
  });

  test("is refused when others can read it", () => {
    chmodSync(path, 0o644);
    expect(() => readOrMakeMasterKey(directory)).toThrow("can be read by others");
    chmodSync(path, 0o600);
  });

  test("is refused when it holds no key", () => {
    writeFileSync(path, "too short");
    expect(() => readOrMakeMasterKey(directory)).toThrow("does not hold a master key");
  });
});
