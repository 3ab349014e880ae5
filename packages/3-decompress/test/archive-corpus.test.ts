import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type Contents, tarOutcome, zipOutcome } from "./archive-outcome.ts";
import { inFolder, isInstalled, needs, python } from "./archive-programs.ts";

const corpora = fileURLToPath(new URL("../../../../shared/corpora/", import.meta.url));
const at = (folder: string): string => join(corpora, folder);
const absent = existsSync(corpora) ? "" : " (corpus absent: skipped)";
const filesOf = (folder: string, ending: string): string[] =>
  absent === "" ? readdirSync(at(folder)).filter((name) => name.endsWith(ending)) : [];

/** Names and sizes, which say enough of what a small archive gave. */
const summary = (seen: Contents | string): unknown =>
  typeof seen === "string" ? seen : seen.map(([name, bytes]) => `${name}:${bytes.byteLength}`);

describe.skipIf(absent !== "")(`yauzl's zips${absent}`, () => {
  /** In order of the file's name, which is the error that yauzl gives. */
  const codes: Readonly<Record<string, string>> = {
    "End of central directory record signature not found Either not a zip file or file is truncated":
      "truncated",
    "End of central directory record signature not found Either not a zip file or file is truncated_1":
      "not_this_container",
    "absolute path C xt": "unsafe_entry",
    "absolute path atxt": "unsafe_entry",
    "invalid characters in fileName a txt": "unsafe_entry",
    "invalid relative path xt": "unsafe_entry",
    "multi-disk zip files are not supported found disk number 1": "unsupported_method",
    "strong encryption is not supported": "entry_encrypted",
    "unsupported compression method 1": "unsupported_method",
  };

  test("of its failures are refused, all of them, each with its code", async () => {
    const names = filesOf("yauzl/failure", ".zip");
    let refused = 0;
    for (const file of names) {
      const seen = await zipOutcome(readFileSync(join(at("yauzl/failure"), file)));
      expect(seen, file).toBe(codes[file.replace(/\.zip$/, "")] ?? "corrupt");
      refused++;
    }
    expect(refused).toBe(24);
    console.log(`yauzl failure: ${refused} of ${names.length} refused with a code`);
  });

  /** Not opened here, and why. */
  const refused: Readonly<Record<string, string>> = {
    empty: "empty_archive",
    // Backslashes as separators.
    "sloppy-filenames": "unsafe_entry",
    // Four Unicode path fields in one header, one of which is right.
    "unicode-path-extra-field": "corrupt",
    "traditional-encryption": "entry_encrypted",
    "traditional-encryption_deprecated": "entry_encrypted",
    "traditional-encryption-and-compression": "entry_encrypted",
    "traditional-encryption-and-compression_deprecated": "entry_encrypted",
  };

  test("of its successes give the bytes of the extracted folders, but for those refused on purpose", async () => {
    const names = filesOf("yauzl/success", ".zip");
    let same = 0;
    for (const file of names) {
      const name = file.replace(/\.zip$/, "");
      const seen = await zipOutcome(readFileSync(join(at("yauzl/success"), file)));
      if (refused[name] !== undefined) expect(seen, file).toBe(refused[name]);
      else {
        const folder = extracted(join(at("yauzl/success"), name));
        const paths = folder.map(([path]) => path);
        // The corpus spells the folders' names in ASCII.
        const given = (seen as Contents).map(([path, bytes]) => [toAscii(path), bytes] as const);
        const [kept, others] = [true, false].map((isKept) =>
          given.filter(([path]) => paths.includes(path) === isKept),
        );
        expect(sorted(kept ?? []), file).toEqual(sorted(folder));
        // The corpus keeps three of the 1,003 files of one zip; the others are empty.
        expect(others?.filter(([, bytes]) => bytes.byteLength > 0)).toEqual([]);
        expect(others).toHaveLength(name === "everything" ? 1000 : 0);
        same++;
      }
    }
    expect(same).toBe(names.length - Object.keys(refused).length);
    expect(same).toBe(13);
    console.log(
      `yauzl success: ${same} of ${names.length} give the same bytes, ${Object.keys(refused).length} refused on purpose`,
    );
  });

  test.skipIf(!isInstalled("python3"))(
    `and Go's, where they are opened, have the bytes that Python's zipfile reads${needs("python3")}`,
    async () => {
      const paths = ["yauzl/success", "go-stdlib/archive-zip"].flatMap((folder) =>
        filesOf(folder, ".zip").map((name) => join(at(folder), name)),
      );
      const script = `
import hashlib, json, sys, zipfile
for path in json.load(sys.stdin):
    try:
        zip = zipfile.ZipFile(path)
        print(json.dumps([[i.filename, hashlib.sha256(zip.read(i)).hexdigest()] for i in zip.infolist() if not i.is_dir()]))
    except Exception:
        print("null")`;
      const lines = inFolder((folder) =>
        python(folder, script, [], Buffer.from(JSON.stringify(paths))),
      );
      const theirs = lines
        .toString()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(theirs).toHaveLength(paths.length);
      let compared = 0;
      for (const [i, path] of paths.entries()) {
        const seen = await zipOutcome(readFileSync(path));
        if (typeof seen === "string") continue;
        const ours = seen.map(([name, bytes]) => [
          // Python 3.11 takes unflagged names for CP437 even where macOS wrote UTF-8.
          path.endsWith("utf8-osx.zip") ? "Σ╕ûτòî" : name,
          createHash("sha256").update(bytes).digest("hex"),
        ]);
        expect(ours, path).toEqual(theirs[i]);
        compared++;
      }
      expect(compared).toBe(13 + 23);
    },
  );

  test("with wrong entry sizes are refused", async () => {
    const file = readFileSync(join(at("yauzl/wrong-entry-sizes"), "wrong-entry-sizes.zip"));
    expect(await zipOutcome(file)).toBe("unsafe_entry");
    const part = readFileSync(join(at("yauzl/zip64"), "zip64.zip_fragment"));
    expect(typeof (await zipOutcome(part))).toBe("string");
  });

  const toAscii = (name: string): string => name.normalize("NFD").replace(/\p{M}/gu, "");

  const sorted = (contents: Contents): Contents =>
    contents.toSorted(([a], [b]) => (a < b ? -1 : 1));

  function extracted(folder: string): Contents {
    // The corpus keeps a folder that has no file by a file of this name.
    return readdirSync(folder, { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter(
        (path) => statSync(path).isFile() && !path.endsWith(".git_please_make_this_directory"),
      )
      .map((path) => [relative(folder, path), readFileSync(path)] as const);
  }
});

describe.skipIf(absent !== "")(`Go's zips${absent}`, () => {
  test("are read as Go reads them, but for those refused on purpose", async () => {
    const empty = (name: string): string[] => [`${name}:0`];
    const wanted: Readonly<Record<string, unknown>> = {
      "crc32-not-streamed.zip": ["foo.txt:4", "bar.txt:4"],
      "dd.zip": ["filename:25"],
      // Go refuses nothing here: `a/` stands there twice, and is a folder.
      "dupdir.zip": ["a/b:0", "a/b/c:0"],
      "go-no-datadesc-sig.zip.base64": ["foo.txt:4", "bar.txt:4"],
      "go-with-datadesc-sig.zip": ["foo.txt:4", "bar.txt:4"],
      // One byte more than its comment says.
      "readme.zip": "corrupt",
      "readme.notzip": "not_this_container",
      "subdir.zip": ["a/b/c:0"],
      "symlink.zip": "unsafe_entry",
      "test-baddirsz.zip": "corrupt",
      "test-prefix.zip": "corrupt",
      "test-trailing-junk.zip": "corrupt",
      "test.zip": ["test.txt:26", "gophercolor16x16.png:785"],
      "time-22738.zip": empty("file"),
      "unix.zip": ["hello:8", "dir/bar:6", "readonly:12"],
      "winxp.zip": ["hello:8", "dir/bar:6", "readonly:12"],
      "zip64-2.zip": ["README:36"],
      "zip64.zip": ["README:36"],
    };
    const names = [".zip", ".notzip", ".base64"].flatMap((end) =>
      filesOf("go-stdlib/archive-zip", end),
    );
    let same = 0;
    for (const file of names) {
      const stored = readFileSync(join(at("go-stdlib/archive-zip"), file));
      const bytes = file.endsWith(".base64")
        ? Buffer.from(stored.toString("latin1"), "base64")
        : stored;
      const seen = await zipOutcome(bytes);
      const fallback = file.startsWith("utf8-") ? empty("世界") : empty("test.txt");
      expect(summary(seen), file).toEqual(wanted[file] ?? fallback);
      if (typeof seen !== "string") same++;
      if (file === "test.zip") {
        const png = readFileSync(join(at("go-stdlib/archive-zip"), "gophercolor16x16.png"));
        expect((seen as Contents)[1]?.[1]).toEqual(png);
      }
    }
    console.log(
      `Go archive/zip: ${same} of ${names.length} read, ${names.length - same} refused on purpose`,
    );
  });
});

describe.skipIf(absent !== "")(`Go's tars${absent}`, () => {
  test("are read as Go reads them, but for those refused on purpose", async () => {
    const small = ["small.txt:5", "small2.txt:11"];
    const wanted: Readonly<Record<string, unknown>> = {
      "file-and-dir.tar": ["small.txt:5"],
      "gnu-utf8.tar": [`${"☺☻☹".repeat(18)}:0`],
      "gnu.tar": small,
      "pax-records.tar": ["file:0"],
      "star.tar": small,
      "ustar-file-devs.tar": ["file:0"],
      "ustar.tar": [`${"longname/".repeat(15)}file.txt:6`],
      "v7.tar": small,
      "xattrs.tar": small,
      // Links, pipes and devices.
      "hardlink.tar": "unsafe_entry",
      "hdr-only.tar": "unsafe_entry",
      "pax.tar": "unsafe_entry",
      "writer.tar": "unsafe_entry",
      // Names: not UTF-8, with NUL, of a global header.
      "gnu-not-utf8.tar": "unsafe_entry",
      "gnu-long-nul.tar": "unsafe_entry",
      "pax-nul-path.tar": "unsafe_entry",
      "pax-global-records.tar": "unsafe_entry",
      "trailing-slash.tar": "empty_archive",
      // Two headers of one kind before one entry.
      "gnu-multi-hdrs.tar": "corrupt",
      "pax-multi-hdrs.tar": "corrupt",
      // A prefix where GNU has none: Go and Python take it, GNU tar does not.
      "invalid-go17.tar": "corrupt",
      // Damaged headers.
      "issue10968.tar": "not_this_container",
      "issue11169.tar": "corrupt",
      "issue12435.tar": "limit_exceeded",
      "neg-size.tar": "corrupt",
      "pax-bad-hdr-file.tar": "corrupt",
      "pax-nul-xattrs.tar": "corrupt",
      "pax-pos-size-file.tar": "corrupt",
      // No end blocks: cut, as far as anyone can tell.
      "nil-uid.tar": "truncated",
      "pax-bad-mtime-file.tar": "truncated",
      "pax-path-hdr.tar": "truncated",
      "ustar-file-reg.tar": "truncated",
      "writer-big-long.tar": "truncated",
      "writer-big.tar": "truncated",
    };
    const names = filesOf("go-stdlib/archive-tar", ".tar");
    let read = 0;
    for (const file of names) {
      const seen = await tarOutcome(readFileSync(join(at("go-stdlib/archive-tar"), file)));
      const isSparse = /sparse|incremental/.test(file);
      expect(summary(seen), file).toEqual(
        wanted[file] ?? (isSparse ? "unsupported_method" : undefined),
      );
      if (typeof seen === "string") continue;
      read++;
      const texts = ["small.txt", "small2.txt"].map((name) =>
        readFileSync(join(at("go-stdlib/archive-tar"), name)),
      );
      const found = seen.filter(([name]) => name.startsWith("small")).map(([, bytes]) => bytes);
      expect(found).toEqual(texts.slice(0, found.length));
    }
    console.log(
      `Go archive/tar: ${read} of ${names.length} read, ${names.length - read} refused on purpose`,
    );
  });

  test.skipIf(!isInstalled("python3"))(
    `have, where they are opened, the bytes that Python's tarfile reads${needs("python3")}`,
    async () => {
      const opened: { path: string; entries: unknown }[] = [];
      for (const name of filesOf("go-stdlib/archive-tar", ".tar")) {
        const path = join(at("go-stdlib/archive-tar"), name);
        const seen = await tarOutcome(readFileSync(path));
        if (typeof seen === "string") continue;
        const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
        opened.push({ path, entries: seen.map(([entry, bytes]) => [entry, sha256(bytes)]) });
      }
      const script = `
import hashlib, json, sys, tarfile
def entries(path):
    tar = tarfile.open(path, errorlevel=2)
    return [[m.name, hashlib.sha256(tar.extractfile(m).read()).hexdigest()] for m in tar if m.isfile()]
print(json.dumps([entries(path) for path in json.load(sys.stdin)]))`;
      const paths = Buffer.from(JSON.stringify(opened.map(({ path }) => path)));
      const theirs = inFolder((folder) => JSON.parse(python(folder, script, [], paths).toString()));
      expect(opened).toHaveLength(9);
      expect(opened.map(({ entries }) => entries)).toEqual(theirs);
    },
  );

  test.skipIf(!isInstalled("python3"))(
    `with a pax header of 1 GiB is refused before that is read (FAULTS 2.6, B8)${needs("python3")}`,
    async () => {
      const file = join(at("go-stdlib/archive-tar"), "pax-bad-hdr-large.tar.bz2");
      const script =
        "import bz2, sys; sys.stdout.buffer.write(bz2.open(sys.argv[1]).read(1 << 16))";
      const start = inFolder((folder) => python(folder, script, [file]));
      expect(await tarOutcome(start)).toBe("limit_exceeded");
    },
  );
});
