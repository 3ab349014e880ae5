import type { LocalClickHouseErrorCode } from "./local-clickhouse-error.ts";
import type { ServerLimits } from "./server-config.ts";

/** What the parent asks of the server process. */
export interface ServerOrder extends ServerLimits {
  readonly dataDir: string;
  readonly libraryPath: string;
}

/** What the server process says before it ends without having served. */
export interface ServerFailure {
  readonly code: LocalClickHouseErrorCode;
  readonly message: string;
  readonly holderPid?: number;
}
