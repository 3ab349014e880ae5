import { describe, expect, test } from "vitest";

/** A stage that is ready to be read, and what becomes of the source it reads. */
export interface Run<O> {
  readonly outputs: AsyncIterable<O>;
  readonly source: {
    /** Pieces that were asked for so far. */
    readonly pulled: () => number;
    /** Whether the source was let go of; may wait for a source that is told of it over a wire. */
    readonly isClosed: () => boolean | Promise<boolean>;
  };
}

/** A stage that stops by itself, and the code it stops with. */
export interface StoppingRun<O> {
  /** Sets the stage up over the sample, in pieces of so many bytes; reads nothing. */
  readonly open: (pieceBytes: number) => Promise<Run<O>>;
  readonly code: string;
}

/** What every stage can be held to, whether its source is an iterable or a server. */
export interface ReaderContract<O> {
  readonly name: string;
  /** Sets a stage with ordinary settings up over bytes, sent in pieces of so many; reads nothing. */
  readonly open: (bytes: Uint8Array, pieceBytes: number) => Promise<Run<O>>;
  /** An input that gives more than one output chunk, or one if the stage cannot give more. */
  readonly sample: Uint8Array;
  /** Turns the outputs into a value that does not depend on where chunks begin. */
  readonly collect: (outputs: O[]) => unknown;
  /** What empty input gives: a value like collect's, or the code of the error. */
  readonly empty: { readonly output: unknown } | { readonly code: string };
  /** A source that breaks behind half of the sample, and a look at what came of it. */
  readonly broken: {
    readonly open: () => Promise<Run<O>>;
    readonly expectError: (error: unknown) => void;
  };
  /** The stage with a limit that the sample passes. */
  readonly limited?: StoppingRun<O> | undefined;
  /** The stage before a sink that fails while there is more of the sample to read. */
  readonly sinkFails?: StoppingRun<O> | undefined;
}

export async function all<O>(outputs: AsyncIterable<O>): Promise<O[]> {
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

/** Runs the clauses that hold for a source of any kind. Call it at the top level of a test file. */
export function readerContract<O>(contract: ReaderContract<O>): void {
  const { name, open, sample, collect, empty, broken, limited, sinkFails } = contract;

  describe(`${name} keeps the stage contract`, () => {
    test.each([1, 7, 4096])("gives the same output from chunks of %i bytes", async (size) => {
      const whole = collect(await all((await open(sample, sample.byteLength)).outputs));
      expect(collect(await all((await open(sample, size)).outputs))).toEqual(whole);
    });

    test("does not read its source before it is read", async () => {
      expect((await open(sample, 64)).source.pulled()).toBe(0);
    });

    test("closes its source when its reader stops early", async () => {
      const { outputs, source } = await open(sample, 64);
      for await (const _ of outputs) break;
      expect(await source.isClosed()).toBe(true);
    });

    test("passes on the source's error as it is", async () => {
      broken.expectError(await failure((await broken.open()).outputs));
    });

    test("answers empty input as its contract says", async () => {
      const { outputs } = await open(new Uint8Array(0), 1);
      if ("code" in empty) {
        expect(await failure(outputs)).toMatchObject({ name: "StageError", code: empty.code });
      } else {
        expect(collect(await all(outputs))).toEqual(empty.output);
      }
    });

    if (limited !== undefined) {
      test("stops and closes its source when a limit is passed", async () => {
        const { outputs, source } = await limited.open(64);
        expect(await failure(outputs)).toMatchObject({ name: "StageError", code: limited.code });
        expect(await source.isClosed()).toBe(true);
      });
    }

    if (sinkFails !== undefined) {
      test("stops and closes its source, before its end, when its sink fails", async () => {
        const { outputs, source } = await sinkFails.open(64);
        expect(await failure(outputs)).toMatchObject({ name: "StageError", code: sinkFails.code });
        expect(await source.isClosed()).toBe(true);
        expect(source.pulled()).toBeLessThan(Math.ceil(sample.byteLength / 64));
      });
    }
  });
}
