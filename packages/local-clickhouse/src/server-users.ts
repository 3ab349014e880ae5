import { createHash, randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

export interface LocalUser {
  readonly name: string;
  readonly password: string;
}

/**
 * `admin` may do everything; `loader` what loading needs; `reader` may read the domain tables; `query` runs the
 * SQL of ingest queries, and reaches the tables that are staged for them alone.
 */
export interface LocalUsers {
  readonly admin: LocalUser;
  readonly loader: LocalUser;
  readonly reader: LocalUser;
  readonly query: LocalUser;
}

const ROLES = ["admin", "loader", "reader", "query"] as const;
const NAMES = {
  admin: "admin",
  loader: "sluice_loader",
  reader: "sluice_reader",
  query: "sluice_query",
} as const;

/** Users that came after the first release: a data directory of before them lacks their passwords. */
const LATER_ROLES: readonly string[] = ["query"];

/** Passwords are made once per data directory, so that what a client stored outlives a restart. */
export function ensurePasswords(path: string): LocalUsers {
  const kept = readPasswords(path);
  const missing = ROLES.filter((role) => typeof kept?.[role] !== "string");
  // Other passwords that are missing were lost: making new ones would lock out who has them.
  const isMade = kept === undefined || missing.every((role) => LATER_ROLES.includes(role));
  if (missing.length > 0 && isMade) {
    const made = missing.map((role) => [role, randomBytes(24).toString("base64url")]);
    // Renamed into place: a crash in between leaves no half a file behind.
    const passwords = { ...kept, ...Object.fromEntries(made) };
    writeFileSync(`${path}.new`, JSON.stringify(passwords), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
  return readUsers(path);
}

function readPasswords(path: string): Partial<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** The users of a data directory whose passwords exist. */
export function readUsers(path: string): LocalUsers {
  const kept: Partial<Record<string, unknown>> = JSON.parse(readFileSync(path, "utf8"));
  const user = (role: (typeof ROLES)[number]): LocalUser => {
    const password = kept[role];
    if (typeof password !== "string") throw new Error(`${path} has no password for ${role}`);
    return { name: NAMES[role], password };
  };
  return {
    admin: user("admin"),
    loader: user("loader"),
    reader: user("reader"),
    query: user("query"),
  };
}

/**
 * Domain tables live in databases whose names are not known beforehand: so every database, except
 * the server's own. Nothing that reaches outside the server (files, URLs, S3, other databases), no
 * users, no dictionaries, no functions, no SYSTEM. One gap is the embedded engine's: its scalar file()
 * and INFILE ask for no right (a server proper does), so whoever may query may read the files that
 * this account may.
 */
const OWN_DATABASES = ["system", "information_schema", "INFORMATION_SCHEMA", "default"];
// Memory is for what a session casts and only shows.
const TABLE_ENGINES = ["MergeTree", "ReplacingMergeTree", "Null", "Memory"];
const SYSTEM_TABLES = [
  "databases",
  "tables",
  "columns",
  "parts",
  "processes",
  "query_log",
  "mutations",
];

const LOADER_RIGHTS = [
  "CREATE DATABASE, DROP DATABASE, CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW",
  "SHOW DATABASES, SHOW TABLES, SHOW COLUMNS, SELECT, INSERT, TRUNCATE",
  "ALTER ADD COLUMN, ALTER MODIFY COLUMN, ALTER DROP COLUMN, ALTER COMMENT COLUMN, ALTER RENAME COLUMN",
  "ALTER SETTINGS, ALTER MOVE PARTITION, ALTER DELETE, ALTER VIEW MODIFY QUERY",
].join(", ");

const LOADER_GRANTS: readonly string[] = [
  `GRANT ${LOADER_RIGHTS} ON *.*`,
  ...OWN_DATABASES.map((database) => `REVOKE ${LOADER_RIGHTS} ON ${database}.*`),
  "GRANT CREATE TEMPORARY TABLE ON *.*",
  // The query of a custom domain table runs as a view of the reader: with its rights, and no others.
  `GRANT SET DEFINER ON ${NAMES.reader}`,
  ...TABLE_ENGINES.map((engine) => `GRANT TABLE ENGINE ON ${engine}`),
  ...SYSTEM_TABLES.map((table) => `GRANT SELECT ON system.${table}`),
];

const READER_GRANTS: readonly string[] = [
  "GRANT SHOW DATABASES, SHOW TABLES, SHOW COLUMNS, SELECT ON *.*",
  ...OWN_DATABASES.map(
    (database) => `REVOKE SHOW DATABASES, SHOW TABLES, SHOW COLUMNS, SELECT ON ${database}.*`,
  ),
];

/** What ingest queries read lies in databases that begin so: one for each query of a workflow. */
const QUERY_GRANTS: readonly string[] = ["GRANT SELECT, INSERT ON sluice_query_*.*"];

/**
 * users.xml while the server serves: passwords as SHA-256, grants, and what each user may set.
 * `default`, as whom the engine's own statements go on running, gets a password that nobody knows.
 */
export function usersConfig(users: LocalUsers): string {
  const user = ({ name, password }: LocalUser, profile: string, rights: string) => `    <${name}>
      <password_sha256_hex>${sha256(password)}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>${profile}</profile>
      <quota>default</quota>
      ${rights}
    </${name}>`;
  const grants = (queries: readonly string[]) =>
    `<grants>${queries.map((query) => `<query>${query}</query>`).join("")}</grants>`;
  return `<clickhouse>
  <users>
    <default>
      <http_authentication><server>admit_once</server><scheme>basic</scheme></http_authentication>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      ${grants(["GRANT SYSTEM LISTEN, CREATE TEMPORARY TABLE ON *.*", "GRANT READ ON FILE"])}
    </default>
${user(users.admin, "default", "<access_management>1</access_management>")}
${user(users.loader, "loader", grants(LOADER_GRANTS))}
${user(users.reader, "reader", grants(READER_GRANTS))}
${user(users.query, "query", grants(QUERY_GRANTS))}
  </users>
  <profiles>
    <default><async_insert>0</async_insert></default>
    <loader>
      <async_insert>0</async_insert>
      <constraints><async_insert><readonly/></async_insert></constraints>
    </loader>
    <reader><readonly>2</readonly></reader>
    <query>
      <async_insert>0</async_insert>
      <allow_ddl>0</allow_ddl>
      <allow_introspection_functions>0</allow_introspection_functions>
      <constraints>
        <allow_ddl><readonly/></allow_ddl>
        <allow_introspection_functions><readonly/></allow_introspection_functions>
      </constraints>
    </query>
  </profiles>
  <quotas><default/></quotas>
</clickhouse>
`;
}

function sha256(value: string | Uint8Array): string {
  return createHash("sha256").update(value).digest("hex");
}
