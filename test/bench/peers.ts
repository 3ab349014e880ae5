import type { ChildEnvironment } from "./bench-stack.ts";
import type { DataColumn } from "./data/columns.ts";

/** What a peer loads, and with what. */
export interface PeerWork {
  /** The peer's table as SQL, empty when the peer begins. */
  readonly table: string;
  /** Its columns, `name type, ...`. */
  readonly structure: string;
  readonly columns: readonly DataColumn[];
  readonly rows: number;
  /** Addresses of the case's objects; several only where the case has several files. */
  readonly urls: readonly string[];
  /** Of all of the case's files, for s3(). */
  readonly glob: string;
  /** A folder of the peer's own, on disk. */
  readonly folder: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Runs SQL with all rights and the server's own settings. */
  sql(query: string): Promise<void>;
  /** Runs a script of bash, with `$S3_URL`, `$INSERT_URL` and the functions `s3_get` and `insert`. */
  shell(script: string, environment?: ChildEnvironment): Promise<void>;
}

/** What a user would run without us. */
export interface Peer {
  readonly name: string;
  /** Leaves the table as it is between rounds, which is otherwise emptied. */
  readonly keepsTable?: true;
  run(work: PeerWork): Promise<void>;
}

const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** ClickHouse's s3() over the case's files. */
export function s3Table(work: PeerWork, format: string, structure: string): string {
  const { glob, accessKeyId, secretAccessKey } = work;
  return `s3(${[glob, accessKeyId, secretAccessKey, format, structure].map(quote).join(", ")})`;
}

/** `INSERT INTO t SELECT ... FROM s3(...)` with the table's own types: the reader casts. */
export function s3Peer(format: string, settings = ""): Peer {
  return {
    name: `s3()${settings === "" ? "" : ` with ${settings.split(" = ")[0]}`}`,
    run: async (work) =>
      await work.sql(
        `INSERT INTO ${work.table} SELECT * FROM ${s3Table(work, format, work.structure)}${settings === "" ? "" : ` SETTINGS ${settings}`}`,
      ),
  };
}

/** A pipeline of the shell's, in the words of the script. */
export function shellPeer(name: string, script: string): Peer {
  return { name, run: async (work) => await work.shell(script) };
}
