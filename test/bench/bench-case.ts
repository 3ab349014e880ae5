import type { FeedSpec, FileSettings } from "../e2e/story.ts";
import type { DataFile } from "./data/cached-data.ts";
import type { DataColumn } from "./data/columns.ts";
import type { FileMaker } from "./data/make-files.ts";
import type { Peer } from "./peers.ts";
import type { PgpKeys } from "./pgp-keys.ts";
import type { Tool } from "./tools.ts";

/** What the makers of files work with. */
export interface Making {
  readonly files: FileMaker;
  /** Makes them when a case asks first. */
  pgpKeys(): Promise<PgpKeys>;
}

/** One load that is measured against the best that one could do without the product. */
export interface BenchCase {
  readonly name: string;
  /** The data, in words. */
  readonly data: string;
  /** How often as fast as its peer it has to be, and would rather be. */
  readonly toReach: number;
  readonly beyond: number;
  /** At scale 1; what is counted is rows of the table, but for records that are exploded. */
  readonly rows: number;
  readonly columns: readonly DataColumn[];
  readonly primaryKey: readonly string[];
  readonly feed?: Partial<Pick<FeedSpec, "errorThresholdPercent">>;
  readonly settings: FileSettings;
  /** Whether the settings take the benchmark's PGP credential. */
  readonly isPgp?: true;
  /** Loads all files of the case by a pattern, and not its one file by its key. */
  readonly hasManyFiles?: true;
  makeData(rows: number, making: Making): Promise<DataFile[]>;
  readonly peer: Peer;
  /** The most CPU-seconds of ingest for a million rows. */
  readonly maxCpuSecondsPerMillionRows?: number;
  readonly tools?: readonly Tool[];
}

export const KEY = ["id"] as const;
