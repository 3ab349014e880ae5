export { LocalClickHouseError, type LocalClickHouseErrorCode } from "./local-clickhouse-error.ts";
export type { LocalUser, LocalUsers } from "./server-users.ts";
export {
  type LocalClickHouse,
  type LocalClickHouseExit,
  type LocalClickHouseOptions,
  startLocalClickHouse,
} from "./start-local-clickhouse.ts";
