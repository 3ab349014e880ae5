import type { DataDir } from "./data-dir.ts";

export interface ServerLimits {
  /** Bytes all queries and caches may take together. */
  readonly maxMemoryBytes: number;
  /** 0 lets the system choose. */
  readonly httpPort: number;
  /** Undefined: the native protocol is closed. */
  readonly tcpPort?: number;
}

/**
 * config.xml: what the server is. The log's level is an argument of the engine's, which ignores the
 * one here. Who may do what stands in users.xml. */
export function serverConfig(dir: DataDir, limits: ServerLimits, admitUri: string): string {
  return `<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <http_port>${limits.httpPort}</http_port>
  <tcp_port>${limits.tcpPort ?? 0}</tcp_port>
  <logger>
    <log>${text(dir.log)}</log>
    <size>10M</size>
    <count>2</count>
    <console>0</console>
  </logger>
  <timezone>UTC</timezone>
  <max_server_memory_usage>${limits.maxMemoryBytes}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <allow_experimental_webterminal>0</allow_experimental_webterminal>
  <send_crash_reports><enabled>false</enabled></send_crash_reports>
  <query_log>
    <database>system</database>
    <table>query_log</table>
    <engine>ENGINE = MergeTree ORDER BY event_time TTL event_date + INTERVAL 3 DAY DELETE</engine>
    <flush_interval_milliseconds>1000</flush_interval_milliseconds>
  </query_log>
  <access_control_improvements>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
    <table_engines_require_grant>true</table_engines_require_grant>
    <settings_constraints_replace_previous>true</settings_constraints_replace_previous>
  </access_control_improvements>
  <http_authentication_servers>
    <admit_once>
      <uri>${text(admitUri)}</uri>
      <connection_timeout_ms>5000</connection_timeout_ms>
      <receive_timeout_ms>5000</receive_timeout_ms>
      <send_timeout_ms>5000</send_timeout_ms>
      <max_tries>1</max_tries>
    </admit_once>
  </http_authentication_servers>
  <user_directories>
    <users_xml><path>${text(dir.users)}</path></users_xml>
  </user_directories>
</clickhouse>
`;
}

/** Text of an XML element. */
function text(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
