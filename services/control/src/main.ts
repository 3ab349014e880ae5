import { type ControlConfig, readConfig } from "./config.ts";
import { startControl } from "./control.ts";

/** Starts the service, tells where it listens, and stops when it is asked to. */
async function main(): Promise<void> {
  let config: ControlConfig;
  try {
    config = readConfig();
  } catch (error) {
    refuse(error);
    return;
  }
  // Before the start: a stop that is asked for while the state opens must not be lost.
  const stop = stopRequest(config.exitWithStdin);
  const control = await startControl(config);
  const { url, probeUrl: probes } = control;
  process.stdout.write(`${JSON.stringify({ event: "listening", url, probes })}\n`);
  await stop;
  await control.close();
}

/** Resolves at SIGTERM, at SIGINT and, if wanted, when stdin closes. */
function stopRequest(withStdin: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
    if (withStdin) {
      process.stdin.once("end", () => resolve());
      process.stdin.once("close", () => resolve());
      process.stdin.once("error", () => resolve());
      process.stdin.resume();
    }
  });
}

function refuse(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  refuse(error);
}
// Stdin, watched for its end, would keep the process alive.
process.stdin.unref?.();
