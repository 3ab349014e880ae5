import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { Compression } from "@sluice/api/control/v1/file_settings_pb";
import { ANY_BYTES, ANY_BYTES_FIELDS, judgeBytes } from "./any-bytes.ts";
import type { Corpus, CorpusCase } from "./corpus-case.ts";

/** Folders `golden-decompression`, whose frames must open, and `golden-decompression-errors`, whose must not. */
export function zstdCorpus(folder: string): Corpus | undefined {
  const good = join(folder, "golden-decompression");
  const bad = join(folder, "golden-decompression-errors");
  if (!existsSync(good) || !existsSync(bad)) return undefined;
  const opened = readdirSync(good).map((name): CorpusCase => {
    const frame = readFileSync(join(good, name));
    // The truth is the reference implementation's, which Node's zlib holds.
    const judge = judgeBytes(new Map([["", zstdDecompressSync(frame)]]));
    return { ...toCase(name, frame, Compression.ZSTD), expect: "loaded", judge };
  });
  const refused = readdirSync(bad).map(
    (name): CorpusCase => ({
      ...toCase(name, readFileSync(join(bad, name)), Compression.ZSTD),
      expect: "refused",
    }),
  );
  return { kind: "zstd frames", cases: [...opened, ...refused] };
}

/** Streams `pass-*` and `fail-*` of bzip2 and gzip, with the content of the first beside them as `.bin`. */
export function compressedCorpus(folder: string): Corpus | undefined {
  const cases = [
    ...streams(folder, "compress-bzip2", ".bz2", Compression.BZIP2),
    ...streams(folder, "compress-gzip", ".gz", Compression.GZIP),
  ];
  return cases.length === 0 ? undefined : { kind: "compressed streams", cases };
}

function streams(
  folder: string,
  below: string,
  end: string,
  compression: Compression,
): CorpusCase[] {
  const inside = join(folder, below);
  if (!existsSync(inside)) return [];
  const names = readdirSync(inside).filter((name) => name.replace(/\.base64$/, "").endsWith(end));
  return names.map((name): CorpusCase => {
    const stored = readFileSync(join(inside, name));
    const bytes = name.endsWith(".base64") ? Buffer.from(stored.toString(), "base64") : stored;
    const twin = join(inside, name.replace(end, ".bin"));
    const judge = existsSync(twin)
      ? { judge: judgeBytes(new Map([["", readFileSync(twin)]])) }
      : {};
    const expect = name.startsWith("pass-")
      ? "loaded"
      : name.startsWith("fail-")
        ? "refused"
        : "either";
    return { ...toCase(`${below}/${name}`, bytes, compression), expect, ...judge };
  });
}

function toCase(name: string, bytes: Uint8Array, compression: Compression): CorpusCase {
  const settings = { ...ANY_BYTES, compression };
  return { name, bytes, settings, fields: ANY_BYTES_FIELDS, expect: "either" };
}
