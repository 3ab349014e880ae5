import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect, PostgresDialect } from "kysely";
import pg from "pg";
import { PG_TYPES, PGLITE_PARSERS } from "./column-types.ts";
import { takeLockFile } from "./lock-file.ts";
import { migrate } from "./migrate.ts";
import { preparedPglite } from "./prepared-pglite.ts";
import type { Schema } from "./schema.ts";

/** Where the state is kept: in a directory by PGlite, or by a PostgreSQL server. */
export type DatabaseOptions =
  | {
      /** Made when absent. Only one process can have it open. */
      readonly dataDir: string;
    }
  | {
      /** A PostgreSQL connection string. */
      readonly databaseUrl: string;
      /** Connections that this process opens at most. 10 when not set. */
      readonly maxConnections?: number;
      /** Called when a connection that nobody was using broke; the next query opens a new one. */
      readonly onIdleError?: (error: Error) => void;
    };

/** What pg-boss needs to work in the same database. */
export type DatabaseHandle =
  | { readonly kind: "pglite"; readonly pglite: PGlite }
  | { readonly kind: "postgres"; readonly connectionString: string };

/** The state, migrated and open. */
export interface Database {
  /**
   * For every query. PGlite has a single connection: while a kysely transaction is open, only
   * queries made with it go on, and awaiting any other query inside of it never ends.
   */
  readonly kysely: Kysely<Schema>;
  readonly handle: DatabaseHandle;
  /** Waits for running queries, closes, and gives the directory free. */
  close(): Promise<void>;
}

/**
 * Opens the state and brings its tables up to date. int8 is read as a number on both kinds of
 * database, and a value beyond 2^53 is an error; dates are read as `yyyy-mm-dd`; timestamps as Date.
 */
export function openDatabase(options: DatabaseOptions): Promise<Database> {
  return "databaseUrl" in options ? openPostgres(options) : openPglite(options.dataDir);
}

async function openPglite(dataDir: string): Promise<Database> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = takeLockFile(join(dataDir, "control.lock"));
  let pglite: PGlite | undefined;
  try {
    pglite = await PGlite.create(join(dataDir, "state"), { parsers: PGLITE_PARSERS });
    const opened = pglite;
    await migrate({
      exec: async (sql) => {
        await opened.exec(sql);
      },
      query: async (sql, parameters) => (await opened.query(sql, [...parameters])).rows,
    });
    const kysely = new Kysely<Schema>({
      dialect: new PGliteDialect({ pglite: preparedPglite(opened) }),
    });
    return {
      kysely,
      handle: { kind: "pglite", pglite: opened },
      close: async () => {
        try {
          await kysely.destroy();
          if (!opened.closed) {
            await opened.close();
          }
        } finally {
          lock.release();
        }
      },
    };
  } catch (error) {
    try {
      await pglite?.close();
    } finally {
      lock.release();
    }
    throw error;
  }
}

async function openPostgres(options: {
  readonly databaseUrl: string;
  readonly maxConnections?: number;
  readonly onIdleError?: (error: Error) => void;
}): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    max: options.maxConnections ?? 10,
    types: PG_TYPES,
  });
  // Without a listener a server that restarts would end this process.
  pool.on("error", (error) => options.onIdleError?.(error));
  try {
    const client = await pool.connect();
    try {
      await migrate({
        exec: async (sql) => {
          await client.query(sql);
        },
        query: async (sql, parameters) => (await client.query(sql, [...parameters])).rows,
      });
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw error;
  }
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  return {
    kysely,
    handle: { kind: "postgres", connectionString: options.databaseUrl },
    close: async () => {
      await kysely.destroy();
      // Kysely ends the pool only when it ran a query.
      if (!pool.ended) {
        await pool.end();
      }
    },
  };
}
