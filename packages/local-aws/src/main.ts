import { parseArgs } from "node:util";
import { createLocalAws } from "./create-local-aws.ts";

/** Runs the server until standard input closes, which it does however the parent dies. */

const { values } = parseArgs({
  options: {
    "data-dir": { type: "string" },
    port: { type: "string", default: "0" },
    region: { type: "string" },
    "account-id": { type: "string" },
  },
});
if (values["data-dir"] === undefined) throw new TypeError("--data-dir is required");

const local = await createLocalAws({
  dataDir: values["data-dir"],
  port: Number(values.port),
  ...(values.region !== undefined && { region: values.region }),
  ...(values["account-id"] !== undefined && { accountId: values["account-id"] }),
});
const { url, region, accountId, adminKeys, adminToken } = local;
process.stdout.write(`${JSON.stringify({ url, region, accountId, adminKeys, adminToken })}\n`);

const stop = (): void => {
  local.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
};
process.stdin.on("end", stop).on("close", stop).on("error", stop).resume();
process.on("SIGTERM", stop);
// A terminal's Ctrl-C reaches the whole group; the parent decides when it needs the server no more.
process.on("SIGINT", () => undefined);
