import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";

const SERVER = "postgres://postgres@127.0.0.1:5432";

/** A place for the state of one test file, fresh. */
export interface TestDatabase {
  /** What openDatabase or readConfig need to use it. */
  readonly dataDir: string;
  readonly databaseUrl?: string;
  /** Everything that is stored, as bytes: what a thief of the disk would have. */
  dump(): Promise<Buffer>;
  remove(): Promise<void>;
}

export interface DatabaseKind {
  readonly name: string;
  /** Why tests on it can't run; undefined when they can. */
  readonly absent: string | undefined;
  create(): Promise<TestDatabase>;
}

const pglite: DatabaseKind = {
  name: "PGlite",
  absent: undefined,
  create: async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "sluice-control-"));
    return {
      dataDir,
      dump: () => readAll(join(dataDir, "control", "state")),
      remove: () => rm(dataDir, { recursive: true, force: true }),
    };
  },
};

async function postgres(): Promise<DatabaseKind> {
  return {
    name: "PostgreSQL",
    absent: await probe(),
    create: async () => {
      const name = `control_${randomUUID().replaceAll("-", "")}`;
      const dataDir = await mkdtemp(join(tmpdir(), "sluice-control-"));
      const databaseUrl = `${SERVER}/${name}`;
      await run(`${SERVER}/postgres`, (client) => client.query(`create database ${name}`));
      return {
        dataDir,
        databaseUrl,
        dump: () => run(databaseUrl, dumpTables),
        remove: async () => {
          await run(`${SERVER}/postgres`, (client) =>
            client.query(`drop database ${name} with (force)`),
          );
          await rm(dataDir, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Every kind of database that control supports. */
export const DATABASES: readonly DatabaseKind[] = [pglite, await postgres()];
for (const kind of DATABASES) {
  if (kind.absent !== undefined) {
    process.stderr.write(`tests on ${kind.name} are skipped: ${kind.absent}\n`);
  }
}

async function probe(): Promise<string | undefined> {
  try {
    await run(`${SERVER}/postgres`, (client) => client.query("select 1"));
    return undefined;
  } catch (error) {
    return `${SERVER} does not answer (${error instanceof Error ? error.message : error})`;
  }
}

async function run<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function dumpTables(client: pg.Client): Promise<Buffer> {
  const tables = await client.query<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public'",
  );
  const parts: Buffer[] = [];
  for (const { name } of tables.rows) {
    const rows = await client.query<Record<string, unknown>>(`select * from "${name}"`);
    for (const value of rows.rows.flatMap((row) => Object.values(row))) {
      parts.push(Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value) ?? ""));
    }
  }
  return Buffer.concat(parts);
}

async function readAll(directory: string): Promise<Buffer> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Buffer.concat(
    await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name)))),
  );
}
