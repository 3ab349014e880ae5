import { describe, expect, test } from "vitest";
import { publicAddresses, webhookUrlFault } from "../src/notifications/webhook-address.ts";

const NONE = new Set<string>();

describe("an address that webhooks may not name", () => {
  test.each([
    "https://127.0.0.1/x",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1:8443/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "https://hooks.example.com/#part",
    "not an address",
  ])("%s", (url) => {
    expect(webhookUrlFault(url, NONE)).toBeDefined();
  });
});

test.each([
  "https://hooks.example.com/a?b=c",
  "https://93.184.215.14/",
  "https://[2606:4700::1111]/",
])("%s may be named", (url) => {
  expect(webhookUrlFault(url, NONE)).toBeUndefined();
});

test("the operator may allow a host, without TLS too", () => {
  const allowed = new Set(["127.0.0.1", "::1", "hooks.internal"]);
  expect(webhookUrlFault("http://127.0.0.1:8080/x", allowed)).toBeUndefined();
  expect(webhookUrlFault("http://[::1]:8080/x", allowed)).toBeUndefined();
  expect(webhookUrlFault("http://HOOKS.internal/x", allowed)).toBeUndefined();
  expect(webhookUrlFault("http://hooks.internal.example.com/x", allowed)).toBeDefined();
  expect(webhookUrlFault("https://127.0.0.2/x", allowed)).toBeDefined();
});

describe("a name, when it is posted to", () => {
  const standsFor =
    (...addresses: string[]) =>
    async () =>
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

  test("is refused when it stands for an address that is not public, alone or among others", async () => {
    for (const found of [
      ["127.0.0.1"],
      ["93.184.215.14", "10.0.0.1"],
      ["::ffff:169.254.169.254"],
    ]) {
      await expect(publicAddresses("hooks.example.com", NONE, standsFor(...found))).rejects.toThrow(
        /not an address of the public internet/,
      );
    }
  });

  test("gives the addresses to connect to, when all of them are public", async () => {
    const found = await publicAddresses(
      "hooks.example.com",
      NONE,
      standsFor("93.184.215.14", "2606:4700::1111"),
    );
    expect(found.map(({ address }) => address)).toEqual(["93.184.215.14", "2606:4700::1111"]);
  });

  test("is let through when the operator allows the name", async () => {
    const allowed = new Set(["hooks.internal"]);
    expect(await publicAddresses("hooks.internal", allowed, standsFor("10.0.0.1"))).toHaveLength(1);
  });
});
