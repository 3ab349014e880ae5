import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";

test("without settings everything is embedded, and kept below the folder it is started in", () => {
  expect(readConfig({})).toEqual({
    dataDir: resolve(".sluice"),
    controlPort: 8080,
    clickhouseUrl: "",
    clickhouseUser: "sluice_loader",
    clickhousePassword: "",
    clickhouseQueryUser: "sluice_query",
    clickhouseQueryPassword: "",
    clickhouseMemoryMib: 4096,
    environment: {},
  });
});

test("an empty variable is as good as none: the data never lands in the folder itself", () => {
  const environment = { SLUICE_DATA_DIR: "", SLUICE_CONTROL_PORT: " ", CLICKHOUSE_URL: "" };
  expect(readConfig(environment)).toEqual({ ...readConfig({}), environment });
});

test("what is written is taken, and the whole environment is there for the services", () => {
  const environment = {
    SLUICE_DATA_DIR: "/var/sluice",
    SLUICE_CONTROL_PORT: "0",
    SLUICE_CLICKHOUSE_MEMORY_MIB: "1024",
    CLICKHOUSE_URL: "https://clickhouse.example:8443",
    CLICKHOUSE_USER: "loader",
    CLICKHOUSE_PASSWORD: " spaces are its own ",
    DATABASE_URL: "postgresql:///sluice?host=/run/postgresql",
    SLUICE_CAPACITY: "2",
  };
  expect(readConfig(environment)).toEqual({
    dataDir: "/var/sluice",
    controlPort: 0,
    clickhouseUrl: "https://clickhouse.example:8443",
    clickhouseUser: "loader",
    clickhousePassword: " spaces are its own ",
    clickhouseQueryUser: "sluice_query",
    clickhouseQueryPassword: "",
    clickhouseMemoryMib: 1024,
    environment,
  });
});

describe("a wrong setting is one line that names the variable, and repeats no address", () => {
  test.each([
    ["SLUICE_CONTROL_PORT", "http"],
    ["SLUICE_CONTROL_PORT", "65536"],
    ["SLUICE_CONTROL_PORT", "-1"],
    ["SLUICE_CONTROL_PORT", "80.5"],
    ["SLUICE_CLICKHOUSE_MEMORY_MIB", "511"],
    ["SLUICE_CLICKHOUSE_MEMORY_MIB", "4 GB"],
    ["CLICKHOUSE_URL", "tcp://loader:canary@127.0.0.1:9000"],
    ["CLICKHOUSE_URL", "http://"],
    ["DATABASE_URL", "mysql://root:canary@127.0.0.1/sluice"],
  ])("%s=%s", (name, value) => {
    const read = (): unknown => readConfig({ [name]: value });
    expect(read).toThrow(new RegExp(`^${name} .*$`));
    expect(read).not.toThrow(/canary/);
  });
});
