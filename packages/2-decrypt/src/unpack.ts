import { createInflate, createInflateRaw, type Inflate, type InflateRaw } from "node:zlib";
import type { ByteReader } from "@sluice/streams";
import { createBzip2Reader } from "@sluice/streams/bzip2";
import { malformed, unsupportedAlgorithm } from "./failures.ts";
import { exactly } from "./packet-framing.ts";

const OUTPUT_BYTES = 128 * 1024;

/**
 * The bytes inside a compressed packet's body (RFC 9580, 5.6). Throws `unsupported_algorithm`, or
 * that the message is malformed when the body is damaged, cut, or goes on after its end.
 */
export async function* unpack(
  body: ByteReader,
  onAlgorithm: (algorithm: number) => void,
): AsyncGenerator<Uint8Array> {
  const [algorithm = 0] = await exactly(body, 1, malformed);
  onAlgorithm(algorithm);
  const options = { chunkSize: OUTPUT_BYTES };
  switch (algorithm) {
    case 0:
      for (let next = await body.chunk(); next !== undefined; next = await body.chunk()) yield next;
      return;
    case 1:
      yield* inflated(body, createInflateRaw(options));
      return;
    case 2:
      yield* inflated(body, createInflate(options));
      return;
    case 3:
      yield* unpackBzip2(body);
      return;
    default:
      throw unsupportedAlgorithm(`Compression algorithm ${algorithm}`);
  }
}

/** One bzip2 stream, and nothing behind it. */
async function* unpackBzip2(body: ByteReader): AsyncGenerator<Uint8Array> {
  const damaged = (): Error => malformed(body.offset);
  const { stream } = createBzip2Reader(body, {
    corrupt: damaged,
    mismatch: damaged,
    truncated: damaged,
    unsupported: () => unsupportedAlgorithm("A randomised bzip2 block"),
  });
  yield* stream();
  if ((await body.chunk()) !== undefined) throw damaged();
}

/** Inflates by the reader's pull; the next bytes are opened while zlib's thread works on the last. */
async function* inflated(
  body: ByteReader,
  engine: Inflate | InflateRaw,
): AsyncGenerator<Uint8Array> {
  let failure: unknown;
  let isOver = false;
  let wake = (): void => {};
  engine.on("readable", () => wake());
  engine.on("end", () => {
    isOver = true;
    wake();
  });
  engine.on("error", (error) => {
    failure = error;
    isOver = true;
    wake();
  });
  const ready = (): Promise<undefined> =>
    new Promise((resolve) => {
      wake = () => resolve(undefined);
    });

  let fedBytes = 0;
  const next = (): Promise<Uint8Array | undefined> => {
    const chunk = body.chunk();
    // It is awaited below, unless zlib has failed before.
    chunk.catch(() => {});
    return chunk;
  };
  try {
    let coming: Promise<Uint8Array | undefined> | undefined = next();
    while (coming !== undefined) {
      const chunk: Uint8Array | undefined = await coming;
      let isTaken = false;
      const taken = (): void => {
        isTaken = true;
        wake();
      };
      if (chunk === undefined) engine.end();
      else if (isOver) throw malformed(body.offset);
      else engine.write(chunk, taken);
      fedBytes += chunk?.byteLength ?? 0;
      coming = chunk === undefined ? undefined : next();
      while (!isOver) {
        // Before the look, so that nothing that happens between the two is missed.
        const woken = ready();
        const output: Uint8Array | null = engine.read();
        if (output !== null) yield output;
        else if (isTaken) break;
        else await woken;
      }
      if (failure !== undefined) throw malformed(body.offset, failure);
      if (isOver && engine.bytesWritten < fedBytes) throw malformed(body.offset);
    }
  } finally {
    engine.destroy();
  }
}
