import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SEED } from "./columns.ts";

/** What is made once and kept: git does not see it, and it may be removed at any time. */
export const BENCH_FOLDER: string = fileURLToPath(new URL("../../../.bench", import.meta.url));

/** A file of a case, on disk until it is put into S3. */
export interface DataFile {
  /** Below the case's folder of the bucket. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

export interface DataKey {
  /** Cases of one name share their files. */
  readonly name: string;
  readonly rows: number;
  /** Of what makes them: another version makes them anew. */
  readonly version: number;
}

/** The files of `key`, made by `make` into an empty folder unless they are there. A crash leaves no half of them. */
export async function cachedData(
  key: DataKey,
  make: (folder: string) => Promise<void>,
): Promise<DataFile[]> {
  const folder = join(BENCH_FOLDER, "data", `${key.name}-${key.rows}-seed${SEED}-v${key.version}`);
  if (!existsSync(folder)) {
    const making = `${folder}.making`;
    await rm(making, { recursive: true, force: true });
    await mkdir(making, { recursive: true });
    await make(making);
    await rename(making, folder);
  }
  const names = (await readdir(folder)).sort();
  return await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return { name, path, size: (await stat(path)).size };
    }),
  );
}
