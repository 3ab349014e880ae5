// Compiles tokenise.ts with AssemblyScript into src/csv/wasm-module.ts: text, so that what bundles or copies the sources has it.
import { writeFileSync } from "node:fs";
import { main } from "assemblyscript/asc";

const at = (path: string): string => new URL(path, import.meta.url).pathname;
const options = [
  "--runtime",
  "stub",
  "--enable",
  "simd",
  "-O3",
  "--noAssert",
  "--initialMemory",
  "1",
];
let binary: Uint8Array | undefined;
const { error, stderr } = await main(
  [at("tokenise.ts"), ...options, "--baseDir", at("."), "--outFile", "out.wasm"],
  {
    writeFile: (name, contents) => {
      if (name.endsWith(".wasm") && typeof contents !== "string") binary = contents;
    },
  },
);
if (error !== null || binary === undefined)
  throw new Error(`asc: ${stderr.toString()}`, { cause: error });
const text = Buffer.from(binary).toString("base64");
writeFileSync(
  at("../src/csv/wasm-module.ts"),
  `// Written by \`npm run gen\` out of wasm/tokenise.ts; never edited.\nexport const WASM_MODULE = "${text}";\n`,
);
