import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** What is used of it: the project's libraries do not declare it. */
declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => DecoderModule };

/** A compiled module, which threads can be handed. */
export interface DecoderModule {
  readonly [Symbol.toStringTag]: string;
}

const PAGE_BYTES = 65_536;
/** Ids of sections. Specification: WebAssembly Core, 5.5. */
const MEMORY_SECTION = 5;

const compiled = new Map<number, DecoderModule>();

/**
 * parquet-wasm's module with a maximum written into its memory, which it does not declare itself: what
 * a file makes the decoder ask for beyond it fails there instead of filling the machine's memory.
 */
export function decoderModule(maxMemoryBytes: number): DecoderModule {
  const pages = Math.max(1, Math.min(65_536, Math.floor(maxMemoryBytes / PAGE_BYTES)));
  const known = compiled.get(pages);
  if (known !== undefined) return known;
  const path = createRequire(import.meta.url).resolve("parquet-wasm/esm/parquet_wasm_bg.wasm");
  const module = new WebAssembly.Module(limitMemory(readFileSync(path), pages));
  compiled.set(pages, module);
  return module;
}

/** Gives the module's one memory a maximum. Throws when the module is not built as expected. */
export function limitMemory(module: Uint8Array, maxPages: number): Uint8Array<ArrayBuffer> {
  let at = 8;
  while (at < module.length) {
    const id = module[at];
    const size = readUnsigned(module, at + 1);
    const end = size.end + size.value;
    if (id === MEMORY_SECTION) {
      const count = readUnsigned(module, size.end);
      const flags = readUnsigned(module, count.end);
      const minimum = readUnsigned(module, flags.end);
      if (count.value !== 1 || flags.value > 1 || minimum.value > maxPages) break;
      const content = [1, 1, ...toUnsigned(minimum.value), ...toUnsigned(maxPages)];
      const section = [MEMORY_SECTION, ...toUnsigned(content.length), ...content];
      return Buffer.concat([module.subarray(0, at), Buffer.from(section), module.subarray(end)]);
    }
    at = end;
  }
  throw new Error("the decoder's module has no memory that a maximum can be given to");
}

function readUnsigned(bytes: Uint8Array, from: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[from + i] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: from + i + 1 };
  }
  throw new Error("a number of more than five bytes");
}

function toUnsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...toUnsigned(value >>> 7)];
}
