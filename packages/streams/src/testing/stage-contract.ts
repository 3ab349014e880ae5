import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import { chunked, probe } from "./sources.ts";

/** A stage under contract: how to run it over bytes, and a sample with what must come out of it. */
export interface StageContract<O> {
  readonly name: string;
  /** The stage with ordinary settings. */
  readonly stage: (source: AsyncIterable<Uint8Array>) => AsyncIterable<O>;
  /** An input that gives more than one output chunk, or one if the stage cannot give more. */
  readonly sample: Uint8Array;
  /** Turns the outputs into a value that does not depend on where chunks begin. */
  readonly collect: (outputs: O[]) => unknown;
  /** What empty input gives: a value like collect's, or the code of the error. */
  readonly empty: { readonly output: unknown } | { readonly code: string };
  /** The stage with a limit that the sample passes, and the code it stops with. */
  readonly limited?: {
    readonly stage: (source: AsyncIterable<Uint8Array>) => AsyncIterable<O>;
    readonly code: string;
  };
}

async function all<O>(outputs: AsyncIterable<O>): Promise<O[]> {
  const seen: O[] = [];
  for await (const output of outputs) seen.push(output);
  return seen;
}

async function failure(outputs: AsyncIterable<unknown>): Promise<unknown> {
  return await all(outputs).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Runs the behaviour that every stage owes its neighbours. Call it at the top level of a test file. */
export function stageContract<O>(contract: StageContract<O>): void {
  const { name, stage, sample, collect } = contract;

  describe(`${name} keeps the stage contract`, () => {
    test.each([1, 7, 4096])("gives the same output from chunks of %i bytes", async (size) => {
      const whole = collect(await all(stage(chunked(sample, sample.byteLength))));
      expect(collect(await all(stage(chunked(sample, size))))).toEqual(whole);
    });

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

    test("does not read its source before it is read", () => {
      const source = probe(chunked(sample, 64));
      stage(source);
      expect(source.pulled).toBe(0);
    });

    test("closes its source when its reader stops early", async () => {
      const source = probe(chunked(sample, 64));
      for await (const _ of stage(source)) break;
      expect(source.closed).toBe(true);
    });

    test("passes on the source's error as it is", async () => {
      const broken = new StageError("fetch", "stalled", "the source broke");
      async function* breaking(): AsyncGenerator<Uint8Array> {
        yield sample.subarray(0, Math.floor(sample.byteLength / 2));
        throw broken;
      }
      expect(await failure(stage(breaking()))).toBe(broken);
    });

    test("answers empty input as its contract says", async () => {
      const run = stage(chunked(new Uint8Array(0), 1));
      if ("code" in contract.empty) {
        expect(await failure(run)).toMatchObject({
          name: "StageError",
          code: contract.empty.code,
        });
      } else {
        expect(collect(await all(run))).toEqual(contract.empty.output);
      }
    });

    if (contract.limited !== undefined) {
      const { stage: limited, code } = contract.limited;
      test("stops and closes its source when a limit is passed", async () => {
        const source = probe(chunked(sample, 64));
        expect(await failure(limited(source))).toMatchObject({ name: "StageError", code });
        expect(source.closed).toBe(true);
      });
    }
  });
}
