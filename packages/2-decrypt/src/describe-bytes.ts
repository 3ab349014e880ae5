import { TAG } from "./packet-framing.ts";

export const UNKNOWN_BINARY = "binary data of an unknown kind";

const STARTS: readonly (readonly [string, string])[] = [
  ["1f8b", "gzip"],
  ["504b0304", "zip"],
  ["504b0506", "zip"],
  ["28b52ffd", "zstd"],
  ["fd377a585a00", "xz"],
  ["425a68", "bzip2"],
  ["50415231", "Parquet"],
  ["4f626a01", "Avro"],
];

const ARMOR: Readonly<Record<string, string>> = {
  "PGP PRIVATE KEY BLOCK": "a private key",
  "PGP PUBLIC KEY BLOCK": "a public key",
  "PGP SIGNED MESSAGE": "a signed text that is not encrypted",
  "PGP SIGNATURE": "a detached signature",
};

/** What an armored block of this type is, in words. */
export function describeArmor(type: string): string {
  return ARMOR[type] ?? "an armored block of another kind";
}

/** What an OpenPGP packet that is no encrypted data is, in words; undefined for no known packet. */
export function describePacket(tag: number): string | undefined {
  switch (tag) {
    case TAG.secretKey:
    case TAG.secretSubkey:
      return "a private key";
    case TAG.publicKey:
    case TAG.publicSubkey:
      return "a public key";
    case TAG.signature:
    case TAG.onePassSignature:
    case TAG.compressed:
    case TAG.literal:
      return "an OpenPGP message that is signed or packed but not encrypted";
    default:
      return undefined;
  }
}

/** What the first bytes of a file are that is no OpenPGP data, in words; never a part of them. */
export function describeBytes(head: Uint8Array): string {
  if (head.byteLength === 0) return "empty";
  const hex = Buffer.from(head.subarray(0, 8)).toString("hex");
  const known = STARTS.find(([start]) => hex.startsWith(start))?.[1];
  if (known !== undefined) return known;
  const isText = head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
  return isText ? "text" : UNKNOWN_BINARY;
}
