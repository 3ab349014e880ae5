import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalClickHouseError } from "./local-clickhouse-error.ts";

const ENGINE_PACKAGES: Readonly<Record<string, string>> = {
  "darwin-arm64": "@chdb/lib-darwin-arm64",
  "darwin-x64": "@chdb/lib-darwin-x64",
  "linux-arm64": "@chdb/lib-linux-arm64-gnu",
  "linux-x64": "@chdb/lib-linux-x64-gnu",
};

/** Where `install-engine.ts` puts an engine that the lockfile could not name. */
export const ENGINE_FOLDER: string = fileURLToPath(new URL("../.engine/", import.meta.url));

/** The package that holds the engine for a platform; undefined where there is none. */
export function enginePackage(
  platform: string = process.platform,
  architecture: string = process.arch,
): string | undefined {
  return ENGINE_PACKAGES[`${platform}-${architecture}`];
}

/**
 * The path of libchdb.so for a platform. The packages are optional dependencies of `chdb`, which an
 * install leaves out silently where a registry lacks them: hence an error that says which one.
 */
export function engineLibraryPath(
  platform: string = process.platform,
  architecture: string = process.arch,
  folder: string = ENGINE_FOLDER,
): string {
  const name = enginePackage(platform, architecture);
  const instead = "Set CLICKHOUSE_URL to a ClickHouse server that runs elsewhere.";
  if (name === undefined) {
    throw new LocalClickHouseError(
      "engine_missing",
      `There is no embedded ClickHouse for ${platform}-${architecture}. ${instead}`,
    );
  }
  const ours = createRequire(import.meta.url);
  try {
    return createRequire(ours.resolve("chdb")).resolve(`${name}/libchdb.so`);
  } catch (locked) {
    const path = join(folder, "node_modules", name, "libchdb.so");
    if (existsSync(path)) return path;
    throw new LocalClickHouseError(
      "engine_missing",
      `The embedded ClickHouse needs the optional package ${name}, which is not installed. Run \`npm run setup\`, or: ${instead}`,
      { cause: locked },
    );
  }
}
