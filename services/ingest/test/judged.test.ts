import { expect, test } from "vitest";
import { type Judged, judged } from "../src/judged.ts";

/** A source of three chunks that tells how far it was read and whether it was closed. */
function watched(end?: Error) {
  const seen = { given: 0, closed: 0 };
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (const byte of [1, 2, 3]) {
        seen.given++;
        yield Uint8Array.of(byte);
      }
      if (end) throw end;
    } finally {
      seen.closed++;
    }
  }
  return { seen, stream: judged(read()) };
}

async function giveUpAfterOne({ bytes }: Judged): Promise<void> {
  for await (const _ of bytes) return;
}

async function readAll({ bytes }: Judged): Promise<number[]> {
  const all: number[] = [];
  for await (const chunk of bytes) all.push(...chunk);
  return all;
}

test("bytes pass as they are, pulled by the reader", async () => {
  const { seen, stream } = watched();
  expect(seen.given).toBe(0);
  expect(await readAll(stream)).toEqual([1, 2, 3]);
});

test("a reader that gives up leaves the source open, and judge reads the rest", async () => {
  const { seen, stream } = watched();
  await giveUpAfterOne(stream);
  expect(seen).toEqual({ given: 1, closed: 0 });
  await stream.judge();
  expect(seen).toEqual({ given: 3, closed: 1 });
});

test("an error at the end reaches judge though the reader gave up long before", async () => {
  const altered = new Error("the message was altered");
  const { stream } = watched(altered);
  await giveUpAfterOne(stream);
  await expect(stream.judge()).rejects.toBe(altered);
});

test("an error that the reader saw is judge's answer too, every time", async () => {
  const altered = new Error("the message was altered");
  const { stream } = watched(altered);
  await expect(readAll(stream)).rejects.toBe(altered);
  await expect(stream.judge()).rejects.toBe(altered);
  await expect(stream.judge()).rejects.toBe(altered);
});

test("judge resolves when everything was read and whole", async () => {
  const { seen, stream } = watched();
  await readAll(stream);
  await expect(stream.judge()).resolves.toBeUndefined();
  expect(seen).toEqual({ given: 3, closed: 1 });
});

test("close ends the source without reading on, and without its judgement", async () => {
  const { seen, stream } = watched(new Error("the message was altered"));
  await giveUpAfterOne(stream);
  await stream.close();
  expect(seen).toEqual({ given: 1, closed: 1 });
});
