import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startServer } from "./clickhouse.ts";
import { openBytes, sliceBytes } from "./parquet-file.ts";
import { serveFiles } from "./served-files.ts";

const corpus = new URL("../../../../shared/corpora/hyparquet/files/", import.meta.url);
/** Files that ClickHouse itself refuses whole: nothing can be compared with. */
const UNREADABLE = new Set(["geospatial.parquet"]);

const files = existsSync(corpus)
  ? readdirSync(corpus).filter((name) => name.endsWith(".parquet"))
  : [];

describe.skipIf(files.length === 0)(
  "slices of the hyparquet corpus in ClickHouse (skipped without ../shared/corpora)",
  () => {
    let server: Server;
    // ClickHouse fetches the whole files from here, and describes them by itself.
    let served: Awaited<ReturnType<typeof serveFiles>>;

    beforeAll(async () => {
      server = await startServer();
      served = await serveFiles((name) => readFileSync(new URL(name, corpus)));
    }, 60_000);
    afterAll(async () => {
      await served[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    test.each(files.filter((name) => !UNREADABLE.has(name)))(
      "%s loads the same by slices as whole, under the types it says",
      async (name) => {
        const source = `url('${served.origin}/${name}', Parquet)`;
        const file = await openBytes(readFileSync(new URL(name, corpus)));

        const described = (await server.query(`DESCRIBE TABLE ${source} FORMAT JSONCompactEachRow`))
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line) as [string, string]);
        const flat = described.filter(([column]) => !file.nested.includes(column));
        expect(file.columns.map((column) => [column.name, column.type])).toEqual(
          flat.map(([column, type]) => [column, type]),
        );

        await server.query("DROP TABLE IF EXISTS whole, sliced");
        await server.query(`CREATE TABLE whole ENGINE = Memory AS SELECT * FROM ${source}`);
        await server.query("CREATE TABLE sliced AS whole");
        for (const slice of await sliceBytes(file)) {
          await server.query("INSERT INTO sliced FORMAT Parquet", slice);
        }
        const sum = "SELECT count(), sum(cityHash64(formatRow('JSONCompactEachRow', *)))";
        const expected = await server.query(`${sum} FROM whole`);
        expect(await server.query(`${sum} FROM sliced`)).toBe(expected);
        expect(expected.split("\t")[0]).toBe(String(file.rows));
      },
    );

    test.each([...UNREADABLE])("%s is one that ClickHouse itself refuses", async (name) => {
      await expect(
        server.query(`SELECT * FROM url('${served.origin}/${name}', Parquet)`),
      ).rejects.toThrow("DB::Exception");
    });
  },
);
