import { createRequire } from "node:module";
import { LocalClickHouseError } from "./local-clickhouse-error.ts";

const ENGINE_PACKAGES: Readonly<Record<string, string>> = {
  "darwin-arm64": "@chdb/lib-darwin-arm64",
  "darwin-x64": "@chdb/lib-darwin-x64",
  "linux-arm64": "@chdb/lib-linux-arm64-gnu",
  "linux-x64": "@chdb/lib-linux-x64-gnu",
};

/**
 * The path of libchdb.so for a platform. The packages are optional dependencies of `chdb`, which an
 * install leaves out silently where a registry lacks them: hence an error that says which one.
 */
export function engineLibraryPath(
  platform: string = process.platform,
  architecture: string = process.arch,
): string {
  const name = ENGINE_PACKAGES[`${platform}-${architecture}`];
  const instead = "Set CLICKHOUSE_URL to a ClickHouse server that runs elsewhere.";
  if (name === undefined) {
    throw new LocalClickHouseError(
      "engine_missing",
      `There is no embedded ClickHouse for ${platform}-${architecture}. ${instead}`,
    );
  }
  try {
    const ours = createRequire(import.meta.url);
    return createRequire(ours.resolve("chdb")).resolve(`${name}/libchdb.so`);
  } catch (cause) {
    throw new LocalClickHouseError(
      "engine_missing",
      `The embedded ClickHouse needs the optional package ${name}, which is not installed. Install it, or: ${instead}`,
      { cause },
    );
  }
}
