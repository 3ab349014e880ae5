import { type ExitCode, runCli, type Terminal } from "../src/index.ts";

/** What a command line left behind. */
export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in a terminal of its own. */
export async function run(
  args: readonly string[],
  options: Partial<Pick<Terminal, "env" | "isInteractive">> & { readonly input?: string } = {},
): Promise<Ran> {
  let out = "";
  let err = "";
  const code = await runCli(args, {
    env: options.env ?? {},
    isInteractive: options.isInteractive ?? false,
    columns: 100,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    readInput: async () => Buffer.from(options.input ?? ""),
    signal: new AbortController().signal,
  });
  return { code, out, err };
}
