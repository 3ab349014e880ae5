import type { BrotliDecompress, Inflate, InflateRaw, ZstdDecompress } from "node:zlib";
import type { ByteReader } from "@sluice/streams";

/** The size of the engines' outputs. */
export const OUTPUT_CHUNK_BYTES: number = 128 * 1024;

type Engine = BrotliDecompress | Inflate | InflateRaw | ZstdDecompress;

/** One of zlib's engines, fed by hand: all output of an input is read before the next input is given. */
export interface DrivenEngine {
  /** Bytes of input that the engine used. */
  readonly used: number;
  /** Whether the engine saw the end of its format. */
  readonly ended: boolean;
  /** Gives input; undefined says that there is none any more. Outputs until it is used up, or the end. */
  feed(input: Uint8Array | undefined): AsyncGenerator<Uint8Array>;
  close(): void;
}

/** An engine's own error: zlib's, brotli's or zstd's code, and its message. */
export type EngineError = Error & { readonly code?: string };

/**
 * Drives an engine by pull. Its own errors are thrown as `toError` makes them. It notices that its format
 * is over only when it is given more bytes, or none.
 */
export function driveEngine(engine: Engine, toError: (cause: EngineError) => Error): DrivenEngine {
  let wake: () => void = () => {};
  let failure: Error | undefined;
  let ended = false;
  engine.on("readable", () => wake());
  engine.on("end", () => {
    ended = true;
    wake();
  });
  engine.on("error", (error) => {
    failure = error;
    wake();
  });
  let fed = 0;
  return {
    get used() {
      return engine.bytesWritten;
    },
    get ended() {
      return ended;
    },
    async *feed(input) {
      let written = false;
      const onWritten = (): void => {
        written = true;
        wake();
      };
      if (input === undefined) engine.end();
      else {
        fed += input.byteLength;
        engine.write(input, onWritten);
      }
      for (;;) {
        const output: Uint8Array | null = engine.read();
        if (output !== null) {
          yield output;
          continue;
        }
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (failure !== undefined) throw toError(failure);
        // Input that the engine left lying means that its format is over: the end event follows.
        if (ended || (written && engine.bytesWritten === fed)) return;
        await changed;
      }
    },
    close() {
      engine.destroy();
    },
  };
}

/** What zlib and brotli say when they are told that no more input comes. */
export const isEarlyEnd = (error: EngineError): boolean => error.code === "Z_BUF_ERROR";

/**
 * Runs an engine to the end of its format and puts back what the reader gave beyond it. The first input is
 * of `firstBytes` at most, if that is given.
 */
export async function* runToEnd(
  reader: ByteReader,
  engine: DrivenEngine,
  firstBytes?: number,
): AsyncGenerator<Uint8Array> {
  let fed = 0;
  while (!engine.ended) {
    const isFirst = fed === 0 && firstBytes !== undefined;
    const chunk = isFirst ? await reader.take(firstBytes) : await reader.chunk();
    const input = chunk?.byteLength === 0 ? undefined : chunk;
    fed += input?.byteLength ?? 0;
    yield* engine.feed(input);
    const left = fed - engine.used;
    if (input !== undefined && left > 0) reader.putBack(input.subarray(input.byteLength - left));
  }
}
