import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

/** The two things that migrations need of a connection of their own. */
export interface MigrationConnection {
  /** Runs statements without parameters, any number of them. */
  exec(sql: string): Promise<void>;
  /** Runs one statement and gives its rows. */
  query(sql: string, parameters: readonly unknown[]): Promise<readonly unknown[]>;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/** Any number will do, as long as nobody else on the server takes it as well. */
const LOCK = 7_305_216_481;

const DIRECTORY = new URL("./migrations/", import.meta.url);

/**
 * Applies the migrations that this database has not seen, in the order of their numbers, each in a
 * transaction of its own together with its record. Replicas that start at once wait for each other.
 * Throws when an applied migration is not what it was, or when the database is newer than this program.
 */
export async function migrate(connection: MigrationConnection): Promise<void> {
  await connection.query("select pg_advisory_lock($1::bigint)", [LOCK]);
  try {
    await connection.exec(
      `create table if not exists migration (
        name text primary key, sha256 text not null, apply_time timestamptz not null default now()
      )`,
    );
    const applied = await readApplied(connection);
    const migrations = readMigrations();
    for (const name of applied.keys()) {
      if (!migrations.some((migration) => migration.name === name)) {
        throw new Error(`the database has migration ${name}, which this version does not know`);
      }
    }
    for (const migration of migrations) {
      const sha256 = applied.get(migration.name);
      if (sha256 === undefined) {
        await apply(connection, migration);
      } else if (sha256 !== migration.sha256) {
        throw new Error(`migration ${migration.name} was changed after it had been applied`);
      }
    }
  } finally {
    await connection.query("select pg_advisory_unlock($1::bigint)", [LOCK]);
  }
}

async function apply(connection: MigrationConnection, migration: Migration): Promise<void> {
  await connection.exec("begin");
  try {
    await connection.exec(migration.sql);
    await connection.query("insert into migration (name, sha256) values ($1, $2)", [
      migration.name,
      migration.sha256,
    ]);
    await connection.exec("commit");
  } catch (cause) {
    await connection.exec("rollback");
    throw new Error(`migration ${migration.name} failed`, { cause });
  }
}

function readMigrations(): Migration[] {
  const names = readdirSync(DIRECTORY).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name));
  return names.sort().map((name) => {
    const sql = readFileSync(new URL(name, DIRECTORY), "utf8");
    return { name, sql, sha256: createHash("sha256").update(sql).digest("hex") };
  });
}

async function readApplied(connection: MigrationConnection): Promise<Map<string, string>> {
  const applied = new Map<string, string>();
  for (const row of await connection.query("select name, sha256 from migration", [])) {
    const { name, sha256 } = row as { name: string; sha256: string };
    applied.set(name, sha256);
  }
  return applied;
}
