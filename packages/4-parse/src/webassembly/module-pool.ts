/** A module's memory. Views on `buffer` end when it grows. */
export interface ModuleMemory {
  readonly buffer: ArrayBuffer;
  /** By pages of 64 KiB. */
  grow(pages: number): number;
}

/** What every module here exports, among others. */
interface ModuleExports {
  readonly memory: ModuleMemory;
}

/** Instances of one module: their memory is dear to reserve, so files take turns with them. */
export interface ModulePool<Exports> {
  /** One that nobody else uses until it is given back; made anew when none is kept. */
  take(): Exports;
  giveBack(instance: Exports): void;
}

/** What is used of it: the project's libraries do not declare it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;

/** `code` is the module in base64, compiled when the first instance is taken; `mayKeep` is asked with how many are kept already. */
export function createModulePool<Exports extends ModuleExports>(
  code: string,
  mayKeep: (instance: Exports, kept: number) => boolean,
): ModulePool<Exports> {
  let module: object | undefined;
  const idle: Exports[] = [];
  return {
    take() {
      const known = idle.pop();
      if (known !== undefined) return known;
      module ??= new WebAssembly.Module(Buffer.from(code, "base64"));
      return new WebAssembly.Instance(module, {}).exports as Exports;
    },
    giveBack(instance) {
      if (mayKeep(instance, idle.length)) idle.push(instance);
    },
  };
}

/** Makes the memory at least so large. Views on it end. */
export function reserve({ memory }: ModuleExports, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}
