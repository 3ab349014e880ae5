import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** A program of the machine that a case wants, by the argument that makes it tell its version. */
const VERSION_ARGUMENTS = {
  bash: "--version",
  curl: "--version",
  gpg: "--version",
  gunzip: "--version",
  unzip: "-v",
  zip: "-v",
} as const;

export type Tool = keyof typeof VERSION_ARGUMENTS;

export function missingTools(tools: readonly Tool[]): Tool[] {
  return tools.filter((tool) => spawnSync(tool, [VERSION_ARGUMENTS[tool]]).error !== undefined);
}

/** Runs a script by bash; any part of a pipeline that fails fails it, with what it said. */
export async function shell(
  script: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn("bash", ["-c", `set -euo pipefail\n${script}`], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await once(child, "close");
  if (code !== 0)
    throw new Error(`bash ended with ${code}: ${(await said).join(" ")}\nof ${script}`);
}
