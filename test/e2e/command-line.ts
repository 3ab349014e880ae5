import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const BIN = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `sluice` as a shell runs it, in a folder of its own. */
export interface CommandLine extends AsyncDisposable {
  readonly folder: string;
  readonly env: Record<string, string>;
  run(args: readonly string[], input?: string): Promise<Ran>;
  /** The one JSON that a command printed; it has to end well, and say nothing else. */
  json(args: readonly string[], input?: string): Promise<unknown>;
}

/** Calls the API of `product`, with its first key; commands that call nothing need none. */
export async function openCommandLine(
  product: { readonly url: string; readonly adminKey: string } = { url: "", adminKey: "" },
): Promise<CommandLine> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-cli-"));
  const PATH = `${BIN}${delimiter}${process.env.PATH}`;
  const { url, adminKey } = product;
  const env = { PATH, HOME: folder, SLUICE_URL: url, SLUICE_API_KEY: adminKey };
  const run = async (args: readonly string[], input?: string): Promise<Ran> =>
    await new Promise((resolve) => {
      const child = execFile(join(BIN, "sluice"), args, { env, cwd: folder }, (error, out, err) =>
        resolve({ code: Number(error?.code ?? 0), out, err }),
      );
      child.stdin?.end(input ?? "");
    });
  return {
    folder,
    env,
    run,
    async json(args, input) {
      const { code, out, err } = await run([...args, "--json"], input);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      return JSON.parse(out);
    },
    [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true }),
  };
}
