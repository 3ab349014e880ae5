import { StageError } from "@sluice/errors";
import { chunked } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { type ArchiveOptions, openZip, unarchiveTar } from "../src/index.ts";
import { contentsOf, zipFile } from "./archive-outcome.ts";
import { pax, writeTar } from "./tar-writer.ts";
import { writeZip } from "./zip-writer.ts";

const rows = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(100));
const parts = [
  { name: "a.csv", content: rows },
  { name: "in/b.csv", content: rows.subarray(0, 1000) },
];
const zip = writeZip(parts);
const tar = writeTar(parts);

const readZip = (options: ArchiveOptions, bytes = zip): Promise<unknown> =>
  contentsOf(openZip(zipFile(bytes), options));
const readTar = (options: ArchiveOptions, bytes = tar): Promise<unknown> =>
  contentsOf(unarchiveTar(options)(chunked(bytes, 1000)));

const directoryBytes = parts.reduce((sum, { name }) => sum + 46 + name.length, 0);
const longest = "in/b.csv".length;
const all = rows.byteLength + 1000;

type Read = (options: ArchiveOptions) => Promise<unknown>;
type Limit = Exclude<keyof ArchiveOptions, "wants" | "memory" | "maxRatio" | "ratioFromBytes">;

describe.each<readonly [string, Limit, number, Read]>([
  ["zip", "maxEntries", 2, readZip],
  ["tar", "maxEntries", 2, readTar],
  ["zip", "maxNameBytes", longest, readZip],
  ["tar", "maxNameBytes", longest, readTar],
  ["zip", "maxEntryBytes", rows.byteLength, readZip],
  ["tar", "maxEntryBytes", rows.byteLength, readTar],
  ["zip", "maxOutputBytes", all, readZip],
  ["tar", "maxOutputBytes", all, readTar],
  ["zip", "maxDirectoryBytes", directoryBytes, readZip],
  [
    "tar",
    "maxHeaderBytes",
    // "14 path=b.csv\n"
    14,
    (options) => readTar(options, writeTar([pax({ path: "b.csv" }), ...parts])),
  ],
])("%s: %s", (_, option, exact, read) => {
  test("is passed by what is one over it, and by nothing at it or below", async () => {
    await expect(read({ [option]: exact + 1 })).resolves.toHaveLength(2);
    await expect(read({ [option]: exact })).resolves.toHaveLength(2);
    const failure = await read({ [option]: exact - 1 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StageError);
    expect((failure as StageError).code).toBe(
      option === "maxNameBytes" ? "unsafe_entry" : "limit_exceeded",
    );
    expect((failure as StageError).message).toContain(`${option} = ${exact - 1}`);
  });
});

describe("the ratio of a zip", () => {
  const zeros = writeZip([{ name: "zeros", content: Buffer.alloc(1_000_000) }]);

  test("counts once more than ratioFromBytes came out", async () => {
    const given = { maxRatio: 100 };
    await expect(readZip({ ...given, ratioFromBytes: 1_000_000 }, zeros)).resolves.toHaveLength(1);
    await expect(readZip({ ...given, ratioFromBytes: 1_000_001 }, zeros)).resolves.toHaveLength(1);
    await expect(readZip({ ...given, ratioFromBytes: 999_999 }, zeros)).rejects.toThrow(
      "maxRatio = 100",
    );
  });

  test("is exact, and its default lets zeros pass", async () => {
    const compressed = zeros.readUInt32LE(18);
    const exact = Math.ceil(1_000_000 / compressed);
    const early = { ratioFromBytes: 0 };
    await expect(readZip({ ...early, maxRatio: exact + 1 }, zeros)).resolves.toHaveLength(1);
    await expect(readZip({ ...early, maxRatio: exact }, zeros)).resolves.toHaveLength(1);
    await expect(readZip({ ...early, maxRatio: exact - 1 }, zeros)).rejects.toThrow(
      `maxRatio = ${exact - 1}`,
    );
    await expect(readZip(early, zeros)).resolves.toHaveLength(1);
  });

  test("is of all entries together: many small bombs are one", async () => {
    const many = writeZip(
      Array.from({ length: 10 }, (_, i) => ({ name: `${i}`, content: Buffer.alloc(100_000) })),
    );
    await expect(readZip({ maxRatio: 50, ratioFromBytes: 500_000 }, many)).rejects.toThrow(
      "maxRatio",
    );
  });
});

test("a limit's error tells the entry it was passed in", async () => {
  await expect(readZip({ maxEntryBytes: 2000 })).rejects.toMatchObject({
    coordinate: { entry: "a.csv", layers: [{ kind: "zip" }] },
  });
  await expect(readTar({ maxOutputBytes: rows.byteLength })).rejects.toMatchObject({
    coordinate: { entry: "in/b.csv", layers: [{ kind: "tar", offset: 2560 + 512 }] },
  });
});

test("entries that are not wanted do not count as output, and may be of any size in a zip", async () => {
  const wants = (name: string): boolean => name === "in/b.csv";
  await expect(readZip({ wants, maxEntryBytes: 1000, maxOutputBytes: 1000 })).resolves.toHaveLength(
    1,
  );
  await expect(readTar({ wants, maxOutputBytes: 1000 })).resolves.toHaveLength(1);
});
