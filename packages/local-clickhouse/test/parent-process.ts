/** Starts a server on the directory of its argument, says its pid and lives until it is killed. */
import { startLocalClickHouse } from "../src/index.ts";

const server = await startLocalClickHouse({ dataDir: process.argv[2] ?? "" });
process.stdout.write(`${server.pid}\n`);
