import { readKeyFile } from "../access/key-file.ts";
import { type Environment, text, wrong } from "../settings.ts";

/** Where a master key is: given itself, or wrapped by a key of KMS. */
export type MasterKeySetting =
  | { readonly kind: "bytes"; readonly key: Uint8Array }
  | { readonly kind: "kms"; readonly kmsKey: string };

const FORMS = "32 bytes in base64, file:<path> or kms:<key's id or ARN>";

/** One master key; undefined when the variable is not set. A key is never part of an error. */
export function readMasterKeySetting(
  environment: Environment,
  name: string,
): MasterKeySetting | undefined {
  const written = text(environment, name);
  return written === undefined ? undefined : parse(name, written);
}

/** Several of them, separated by commas. */
export function readMasterKeySettings(
  environment: Environment,
  name: string,
): readonly MasterKeySetting[] {
  const items = (text(environment, name) ?? "").split(",").map((item) => item.trim());
  return items.filter((item) => item !== "").map((item) => parse(name, item));
}

function parse(name: string, written: string): MasterKeySetting {
  const [, scheme, rest = ""] = /^(file|kms):(.+)$/.exec(written) ?? [];
  if (scheme === "kms") return { kind: "kms", kmsKey: rest };
  const value = scheme === "file" ? readFile(name, rest) : written;
  const key = Buffer.from(value, "base64");
  if (key.length !== 32 || key.toString("base64").replace(/=+$/, "") !== value.replace(/=+$/, "")) {
    throw wrong(name, FORMS);
  }
  return { kind: "bytes", key };
}

function readFile(name: string, path: string): string {
  const value = readKeyFile(path);
  if (value === undefined) throw new Error(`${name}: there is no file ${path}`);
  return value;
}
