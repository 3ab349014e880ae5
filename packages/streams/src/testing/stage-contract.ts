import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import { all, type ReaderContract, type Run, readerContract } from "./reader-contract.ts";
import { chunked, probe } from "./sources.ts";

type Stage<O> = (source: AsyncIterable<Uint8Array>) => AsyncIterable<O>;

/** A stage under contract: how to run it over bytes, and a sample with what must come out of it. */
export interface StageContract<O>
  extends Pick<ReaderContract<O>, "name" | "sample" | "collect" | "empty"> {
  /** The stage with ordinary settings. */
  readonly stage: Stage<O>;
  /** The stage with a limit that the sample passes, and the code it stops with. */
  readonly limited?: { readonly stage: Stage<O>; readonly code: string };
  /**
   * The stage before a sink that fails while there is more to read, and the code it stops with. Only
   * for a stage that writes: to all others a failing sink is a reader that stops early.
   */
  readonly sinkFails?: { readonly stage: Stage<O>; readonly code: string };
}

/** Runs the behaviour that every stage owes its neighbours. Call it at the top level of a test file. */
export function stageContract<O>(contract: StageContract<O>): void {
  const { name, stage, sample, collect, empty, limited, sinkFails } = contract;
  const start = async (run: Stage<O>, input: AsyncIterable<Uint8Array>): Promise<Run<O>> => {
    const source = probe(input);
    const outputs = run(source);
    return {
      outputs,
      source: { pulled: () => source.pulled, isClosed: () => source.closed },
    };
  };
  const stopping = (
    given: { readonly stage: Stage<O>; readonly code: string } | undefined,
  ): ReaderContract<O>["limited"] =>
    given && {
      open: (size) => start(given.stage, chunked(sample, size)),
      code: given.code,
    };
  const broken = new StageError("fetch", "stalled", "the source broke");
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield sample.subarray(0, Math.floor(sample.byteLength / 2));
    throw broken;
  }

  readerContract<O>({
    name,
    open: (bytes, size) => start(stage, chunked(bytes, size)),
    sample,
    collect,
    empty,
    broken: {
      open: () => start(stage, breaking()),
      expectError: (error) => expect(error).toBe(broken),
    },
    limited: stopping(limited),
    sinkFails: stopping(sinkFails),
  });

  // What only a source in the same process can do.
  describe(`${name} keeps the stage contract`, () => {
    test("passes over empty chunks", async () => {
      async function* gaps(): AsyncGenerator<Uint8Array> {
        for await (const chunk of chunked(sample, 100)) {
          yield new Uint8Array(0);
          yield chunk;
        }
        yield new Uint8Array(0);
      }
      const whole = collect(await all(stage(chunked(sample, sample.byteLength))));
      expect(collect(await all(stage(gaps())))).toEqual(whole);
    });
  });
}
