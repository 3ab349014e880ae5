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
  /** Who runs ingest queries there; without a password there are none. */
  readonly clickhouseQueryUser: string;
  readonly clickhouseQueryPassword: string;
  /** What the embedded ClickHouse may take, in MiB. */
  readonly clickhouseMemoryMib: number;
  /** Passed on to control and ingest as it is. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the settings; an empty one is as good as none. Throws one error of one line that names the wrong
 * variable and says what it takes; addresses may hold a password, and are not repeated.
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): LocalConfig {
  const text = (name: string, fallback: string): string => environment[name]?.trim() || fallback;
  const number = (name: string, fallback: number, least: number, most: number): number => {
    const written = text(name, "");
    if (written === "") return fallback;
    const value = Number(written);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new Error(`${name} is "${written}": it takes a whole number from ${least} to ${most}`);
    }
    return value;
  };
  const address = (name: string, like: string, fits: (written: string) => boolean): string => {
    const written = text(name, "");
    if (written !== "" && !fits(written)) throw new Error(`${name} takes an address like ${like}`);
    return written;
  };
  // Control reads it for itself; it is looked at here so that nothing is started for a wrong one.
  address("DATABASE_URL", "postgres://user@127.0.0.1:5432/sluice", (written) =>
    /^postgres(ql)?:\/\//.test(written),
  );
  return {
    dataDir: resolve(text("SLUICE_DATA_DIR", ".sluice")),
    controlPort: number("SLUICE_CONTROL_PORT", 8080, 0, 65_535),
    clickhouseUrl: address(
      "CLICKHOUSE_URL",
      "http://127.0.0.1:8123",
      (written) => URL.canParse(written) && /^https?:\/\//.test(written),
    ),
    clickhouseUser: text("CLICKHOUSE_USER", "sluice_loader"),
    clickhousePassword: environment.CLICKHOUSE_PASSWORD ?? "",
    clickhouseQueryUser: text("CLICKHOUSE_QUERY_USER", "sluice_query"),
    clickhouseQueryPassword: environment.CLICKHOUSE_QUERY_PASSWORD ?? "",
    clickhouseMemoryMib: number("SLUICE_CLICKHOUSE_MEMORY_MIB", 4_096, 512, 1_048_576),
    environment,
  };
}
