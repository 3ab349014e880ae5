import { existsSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { type LocalConfig, readConfig } from "./config.ts";
import { createCustomer } from "./customer.ts";
import { type Local, startLocal } from "./local.ts";
import { withKey } from "./with-key.ts";

/** `npm start`: everything on this machine, until Ctrl-C. */

const CUSTOMERS_CSV = `id,name,email,since,points
1,Ada Lovelace,ada@example.com,2024-03-01,120
2,"Smith, Jr.",smith@example.com,2025-11-20,7
3,日向,hinata@example.com,2026-01-31,1500
`;

let config: LocalConfig;
try {
  config = readConfig();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(78); // EX_CONFIG of sysexits.h
}

const ended = Promise.withResolvers<string>();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => ended.resolve(signal));

const { clickhouseUrl, clickhouseUser, clickhousePassword, environment } = config;
const { clickhouseQueryUser, clickhouseQueryPassword } = config;
const isFirstStart = !existsSync(join(config.dataDir, "admin.key"));
const starting = startLocal({
  dataDir: config.dataDir,
  controlPort: config.controlPort,
  clickhouseMemoryBytes: config.clickhouseMemoryMib * 1024 * 1024,
  controlEnvironment: ours(environment),
  ingestEnvironment: ours(environment),
  ...(clickhouseUrl === ""
    ? {}
    : {
        clickhouse: {
          url: clickhouseUrl,
          username: clickhouseUser,
          password: clickhousePassword,
          queryUser: clickhouseQueryUser,
          queryPassword: clickhouseQueryPassword,
        },
      }),
});
// What was started is stopped by now; the reason is told by a service's own words, without our stack.
await using local = await starting.catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
const customer = await createExampleCustomer(local);

console.log(`Sluice is running. Ctrl-C ends it; what it keeps is in ${config.dataDir}

  API (gRPC, gRPC-Web, Connect)  ${local.url}
  S3 and STS                     ${local.aws.url}`);
if (local.clickhouse !== undefined) {
  const { name, password } = local.clickhouse.users.reader;
  console.log(`  ClickHouse                     ${local.clickhouse.url}
    to read with                 ${name} / ${password}`);
}
console.log(`  an admin's API key             ${isFirstStart ? local.adminKey : "as printed at the first start"}
    kept in                      ${local.adminKeyFile}`);
console.log(`
An example customer's bucket, with customers/2026-11-20.csv in it
  bucket                         ${customer.bucket}
  target role                    ${customer.roleArn}
`);

const gone = async (name: string, exited: Promise<unknown>): Promise<string> => {
  await exited;
  return `${name} has ended`;
};
const reason = await Promise.race([
  ended.promise,
  gone("control", local.control.exited),
  gone("ingest", local.ingest.exited),
  ...(local.clickhouse === undefined ? [] : [gone("ClickHouse", local.clickhouse.exited)]),
]);
console.log(`${reason}: stopping`);
process.exitCode = reason.startsWith("SIG") ? 0 : 1;

/** The settings that are meant for our services, and what finds programs. */
function ours(from: LocalConfig["environment"]): Record<string, string | undefined> {
  const names = Object.keys(from).filter(
    (name) =>
      (name.startsWith("SLUICE_") &&
        name !== "SLUICE_DATA_DIR" &&
        name !== "SLUICE_CONTROL_PORT" &&
        name !== "SLUICE_API_KEY") ||
      name === "DATABASE_URL" ||
      name === "PATH",
  );
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

async function createExampleCustomer({
  url,
  adminKey,
  aws,
}: Local): ReturnType<typeof createCustomer> {
  const credentials = createClient(
    CredentialService,
    createGrpcTransport({ baseUrl: url, interceptors: [withKey(adminKey)] }),
  );
  const identity = await credentials.getPlatformIdentity({});
  const customer = await createCustomer(aws, {
    bucket: "example-customer",
    roleName: "sluice-reader",
    platformRoleArn: identity.platformRoleArn,
    externalId: identity.externalId,
  });
  await customer.put("customers/2026-11-20.csv", CUSTOMERS_CSV);
  return customer;
}
