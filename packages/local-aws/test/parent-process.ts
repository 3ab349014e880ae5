import { startLocalAws } from "../src/index.ts";

/** A parent that starts a server, says where it is, and then waits to be killed. */

const local = await startLocalAws({ dataDir: process.argv[2] ?? "" });
process.stdout.write(`${JSON.stringify({ url: local.url, pid: local.pid })}\n`);
process.stdin.resume();
