// Bundles both services into dist/<service>: a few files each, and the packages that cannot be bundled beside them.
// Run by `pnpm bundle`; the Dockerfile runs it too. Another folder than dist can be named.
import { cpSync, existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));
const [target = join(root, "dist")] = process.argv.slice(2);

/** Native code, and packages that read files beside their own: by who depends on them. */
const SERVICES = [
  {
    name: "control",
    entries: { main: "services/control/src/main.ts" },
    kept: { "services/control": ["@electric-sql/pglite"] },
    copied: { migrations: "services/control/src/database/migrations" },
  },
  {
    name: "ingest",
    entries: {
      main: "services/ingest/src/main.ts",
      "load-thread": "services/ingest/src/load-thread.ts",
      "arrow-worker": "packages/4-parse/src/parquet/arrow-worker.ts",
    },
    kept: {
      // Under the LGPL: whoever runs it must be able to put another version in its place.
      "packages/2-decrypt": ["openpgp"],
      "packages/3-decompress": ["snappy"],
      "packages/4-parse": ["parquet-wasm", "@foxglove/wasm-bz2"],
    },
    copied: {},
  },
];

for (const { name, entries, kept, copied } of SERVICES) {
  const folder = join(target, name);
  rmSync(folder, { recursive: true, force: true });
  const input = Object.fromEntries(
    Object.entries(entries).map(([entry, path]) => [entry, join(root, path)]),
  );
  const packages = Object.values(kept).flat();
  const bundle = await rolldown({
    input,
    platform: "node",
    // Its main is UMD, whose parts are asked for by a require that no bundler sees.
    resolve: {
      alias: {
        "jsonc-parser": join(root, "services/control/node_modules/jsonc-parser/lib/esm/main.js"),
      },
    },
    // pg asks for its native twin only if somebody wants it.
    external: (id) =>
      id === "pg-native" || packages.some((each) => id === each || id.startsWith(`${each}/`)),
    plugins: [{ name: "threads", transform: (code) => startsThreads(code, Object.keys(entries)) }],
    onLog(level, log, pass) {
      // Dependencies that go round in circles are their authors' affair.
      if (level === "warn" && log.code !== "CIRCULAR_DEPENDENCY" && log.code !== "EVAL") {
        throw new Error(log.message);
      }
      pass("debug", log);
    },
  });
  await bundle.write({
    dir: folder,
    format: "esm",
    entryFileNames: "[name].mjs",
    chunkFileNames: "chunk-[hash].mjs",
    sourcemap: true,
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    keepNames: true,
  });
  await bundle.close();
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
  for (const [owner, names] of Object.entries(kept)) {
    for (const each of names) {
      copyPackage(join(root, owner, "node_modules", each), each, join(folder, "node_modules"));
    }
  }
  for (const [to, from] of Object.entries(copied)) {
    cpSync(join(root, from), join(folder, to), { recursive: true });
  }
  console.log(`${folder}: ${Object.keys(entries).join(", ")}`);
}

/** Threads begin with a file of their own: in a bundle it has another name. */
function startsThreads(code, entries) {
  if (!code.includes("new Worker(")) return null;
  const changed = code.replaceAll(/new URL\("\.\/([a-z-]+)\.ts"/g, (whole, entry) => {
    if (!entries.includes(entry)) throw new Error(`${whole} starts a thread that is no entry`);
    return `new URL("./${entry}.mjs"`;
  });
  return changed === code ? null : { code: changed, map: null };
}

/** A package with all it depends on, side by side, as far as it is installed for this platform. */
function copyPackage(path, name, to) {
  if (existsSync(join(to, name))) return;
  const from = realpathSync(path);
  cpSync(from, join(to, name), {
    recursive: true,
    dereference: true,
    filter: (each) => !/\.(map|d\.[cm]?ts)$/.test(each),
  });
  const manifest = JSON.parse(readFileSync(join(from, "package.json"), "utf8"));
  // pnpm puts what a package depends on beside it.
  const beside = name.startsWith("@") ? dirname(dirname(from)) : dirname(from);
  for (const dependency of Object.keys({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
  })) {
    const there = join(beside, dependency);
    if (existsSync(there)) copyPackage(there, dependency, to);
  }
}
