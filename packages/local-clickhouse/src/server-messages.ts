import type { LocalClickHouseErrorCode } from "./local-clickhouse-error.ts";
import type { ServerLimits } from "./server-config.ts";

/** What the parent asks of the server process. */
export interface ServerOrder extends ServerLimits {
  readonly dataDir: string;
  readonly libraryPath: string;
}

/** The ports the server got. */
export interface ServerPorts {
  readonly httpPort: number;
  /** Undefined where the native protocol is closed. */
  readonly tcpPort?: number;
}

/** Why the server process ended without having served. */
export interface ServerFailure {
  readonly code: LocalClickHouseErrorCode;
  readonly message: string;
  readonly holderPid?: number;
}

/** What the server process says to its parent, once: that it listens, or why it does not. */
export type ServerReport =
  | { readonly listening: ServerPorts }
  | { readonly failure: ServerFailure };
