import { resolve } from "node:path";

/** Settings of `npm start`. The environment is read here and nowhere else; children get theirs from here. */
export interface LocalConfig {
  /** Everything that is kept lies here. */
  readonly dataDir: string;
  /** Where the API listens; 0 lets the system choose. */
  readonly controlPort: number;
  /** A ClickHouse to load into; empty for the embedded one. */
  readonly clickhouseUrl: string;
  readonly clickhouseUser: string;
  readonly clickhousePassword: string;
  /** What the embedded ClickHouse may take, in MiB. */
  readonly clickhouseMemoryMib: number;
  /** Passed on to control and ingest as it is. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): LocalConfig {
  const number = (name: string, fallback: number): number => {
    const written = environment[name];
    if (written === undefined || written === "") return fallback;
    const value = Number(written);
    if (!Number.isInteger(value) || value < 0) {
      throw new Error(`${name} is "${written}": it takes a whole number`);
    }
    return value;
  };
  return {
    dataDir: resolve(environment.SLUICE_DATA_DIR ?? ".sluice"),
    controlPort: number("SLUICE_CONTROL_PORT", 8080),
    clickhouseUrl: environment.CLICKHOUSE_URL ?? "",
    clickhouseUser: environment.CLICKHOUSE_USER ?? "sluice_loader",
    clickhousePassword: environment.CLICKHOUSE_PASSWORD ?? "",
    clickhouseMemoryMib: number("SLUICE_CLICKHOUSE_MEMORY_MIB", 4_096),
    environment,
  };
}
