import { readFileSync, statSync } from "node:fs";

/**
 * A secret from the environment's `name`, else from the file that `<name>_FILE` names, without its last line break;
 * empty when neither is set. What stands in an environment can be read in /proc for as long as the process lives.
 * Throws one line that names the setting when others may read the file.
 */
export function readSecret(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
): string {
  const given = environment[name]?.trim() ?? "";
  const file = environment[`${name}_FILE`]?.trim() ?? "";
  if (given !== "" || file === "") return given;
  let mode: number;
  let text: string;
  try {
    ({ mode } = statSync(file));
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Error(`${name}_FILE: ${file} can't be read`, { cause });
  }
  if ((mode & 0o077) !== 0) {
    throw new Error(
      `${name}_FILE: ${file} can be read by others; allow its owner alone (chmod 600)`,
    );
  }
  return text.replace(/\r?\n$/, "");
}
