import { setFlagsFromString } from "node:v8";
import { createLog } from "@sluice/telemetry";
import { readConfig } from "./config.ts";
import { startIngest } from "./ingest.ts";

// Buffers count for V8's heap, which is small beside them: without this each batch makes it collect the whole heap, for
// half of a load's processor time. What a load is done with is freed by itself (docs/decisions/0031).
setFlagsFromString("--heap-growing-percent=200");

let config: ReturnType<typeof readConfig>;
try {
  config = readConfig();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(78); // EX_CONFIG of sysexits.h
}

const log = createLog("ingest", config.logLevel);
const ingest = await startIngest(config, log);
log.info({ probes: ingest.probeUrl, worker: config.workerId }, "started");
const { inspectUrl: url, probeUrl: probes } = ingest;
process.stdout.write(
  `${JSON.stringify({ event: "listening", url, probes, worker: config.workerId })}\n`,
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
