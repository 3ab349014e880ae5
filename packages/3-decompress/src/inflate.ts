import { createInflateRaw } from "node:zlib";
import { StageError } from "@sluice/errors";
import type { ByteReader } from "@sluice/streams";

const OUTPUT_CHUNK_BYTES = 128 * 1024;

/**
 * Inflates one raw deflate stream (RFC 1951) and puts back what the reader gave beyond its end.
 * Input is pulled only when all output of the last chunk was read.
 * `onTruncated` is called, and throws, when the input ends before the stream does.
 */
export async function* inflate(
  reader: ByteReader,
  kind: string,
  onTruncated: () => never,
): AsyncGenerator<Uint8Array> {
  const engine = createInflateRaw({ chunkSize: OUTPUT_CHUNK_BYTES });
  let wake: () => void = () => {};
  let failure: Error | undefined;
  let ended = false;
  let hungry = true;
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
  let last: Uint8Array = new Uint8Array(0);
  try {
    while (!ended) {
      const output: Uint8Array | null = engine.read();
      if (output !== null) {
        yield output;
        continue;
      }
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (failure !== undefined) {
        throw new StageError("decompress", "corrupt", `The ${kind} container's data is damaged.`, {
          layers: [{ kind, offset: reader.offset }],
          cause: failure,
        });
      }
      // Input that the engine left lying means that the deflate stream is over: its end event follows.
      if (hungry && engine.bytesWritten === fed) {
        const chunk = await reader.chunk();
        if (chunk === undefined) onTruncated();
        fed += chunk.byteLength;
        last = chunk;
        hungry = false;
        engine.write(chunk, () => {
          hungry = true;
          wake();
        });
      }
      await changed;
    }
    const left = fed - engine.bytesWritten;
    if (left > 0) reader.putBack(last.subarray(last.byteLength - left));
  } finally {
    engine.destroy();
  }
}
