import { pino } from "pino";
import { readConfig } from "./config.ts";
import { startIngest } from "./ingest.ts";

let config: ReturnType<typeof readConfig>;
try {
  config = readConfig();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(78); // EX_CONFIG of sysexits.h
}

// stdout is for the one line that tells where the worker listens.
const log = pino({ level: config.logLevel, base: { service: "ingest" } }, pino.destination(2));
const ingest = await startIngest(config, log);
process.stdout.write(
  `${JSON.stringify({ event: "listening", url: ingest.inspectUrl, worker: config.workerId })}\n`,
);

const end = async (): Promise<void> => {
  await ingest.close();
  process.exit(0);
};
process.once("SIGTERM", () => void end());
process.once("SIGINT", () => void end());
if (config.exitWithStdin) {
  process.stdin.resume();
  process.stdin.once("end", () => process.exit(0));
}
