import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { ENGINE_FOLDER, engineLibraryPath, enginePackage } from "./engine-library.ts";
import { LocalClickHouseError } from "./local-clickhouse-error.ts";

/**
 * The last step of the setup. A lockfile can only name packages that its registry had when it was
 * written, and not every registry has the engine for every platform. Where the lockfile names none for
 * this one, the version that `chdb` asks for is fetched by npm; where npm has none either, the setup
 * goes on, and starting the embedded ClickHouse says what to do.
 */

function isInstalled(): boolean {
  try {
    engineLibraryPath();
    return true;
  } catch (error) {
    if (error instanceof LocalClickHouseError) return false;
    throw error;
  }
}

function wantedVersion(name: string): string | undefined {
  const facts: unknown = createRequire(import.meta.url)("chdb/package.json");
  if (typeof facts !== "object" || facts === null || !("optionalDependencies" in facts)) return;
  const optional: unknown = facts.optionalDependencies;
  const version: unknown =
    typeof optional === "object" && optional ? Reflect.get(optional, name) : undefined;
  return typeof version === "string" ? version : undefined;
}

const name = enginePackage();
const version = name === undefined ? undefined : wantedVersion(name);
if (name !== undefined && version !== undefined && !isInstalled()) {
  const wanted = `${name}@${version}`;
  try {
    const options = [
      "--no-save",
      "--no-package-lock",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
    ];
    execFileSync("npm", ["install", ...options, `--prefix=${ENGINE_FOLDER}`, wanted], {
      stdio: "ignore",
    });
    console.log(`fetched ${wanted}, which the lockfile does not name`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.warn(`no embedded ClickHouse: npm could not install ${wanted} (${reason})`);
  }
}
