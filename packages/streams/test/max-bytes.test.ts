import { StageError } from "@sluice/errors";
import { maxBytes } from "@sluice/streams";
import { chunked, stageContract } from "@sluice/streams/testing";
import { expect, test } from "vitest";

const toError = (message: string): StageError =>
  new StageError("decompress", "limit_exceeded", message);

stageContract<Uint8Array>({
  name: "maxBytes",
  stage: maxBytes(1000, "maxOutputBytes", toError),
  sample: new Uint8Array(1000).fill(7),
  collect: (chunks) => Buffer.concat(chunks),
  empty: { output: Buffer.alloc(0) },
  limited: { stage: maxBytes(999, "maxOutputBytes", toError), code: "limit_exceeded" },
});

test("names the option and its value", async () => {
  const run = Array.fromAsync(
    maxBytes(2, "maxOutputBytes", toError)(chunked(new Uint8Array(3), 1)),
  );
  await expect(run).rejects.toThrow("more than maxOutputBytes = 2 bytes");
});
