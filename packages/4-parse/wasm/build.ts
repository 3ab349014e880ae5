// Compiles each module here with AssemblyScript into src: as text, so that what bundles or copies the sources has it.
import { writeFileSync } from "node:fs";
import { main } from "assemblyscript/asc";

const MODULES = [
  ["tokenise.ts", "../src/csv/wasm-module.ts"],
  ["json-lines.ts", "../src/json/wasm-module.ts"],
  ["xml-records.ts", "../src/xml/wasm-module.ts"],
] as const;
const OPTIONS = [
  "--runtime",
  "stub",
  "--enable",
  "simd",
  "-O3",
  "--noAssert",
  "--initialMemory",
  "1",
];

const at = (path: string): string => new URL(path, import.meta.url).pathname;

for (const [source, target] of MODULES) {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await main(
    [at(source), ...OPTIONS, "--baseDir", at("."), "--outFile", "out.wasm"],
    {
      writeFile: (name, contents) => {
        if (name.endsWith(".wasm") && typeof contents !== "string") binary = contents;
      },
    },
  );
  if (error !== null || binary === undefined) {
    throw new Error(`asc: ${stderr.toString()}`, { cause: error });
  }
  const text = Buffer.from(binary).toString("base64");
  writeFileSync(
    at(target),
    `// Written by \`npm run gen\` out of wasm/${source}; never edited.\nexport const WASM_MODULE =\n  "${text}";\n`,
  );
}
