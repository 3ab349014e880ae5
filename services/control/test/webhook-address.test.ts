import { describe, expect, test } from "vitest";
import { webhookUrlFault } from "../src/notifications/webhook-address.ts";

const NONE = new Set<string>();

// Attack R1.
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
    "https://[::127.0.0.1]/",
    "https://[fec0::1]/",
    "https://168.63.129.16/",
    "https://100.100.100.200/",
    "https://127.1/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:25/",
    "gopher://hooks.example.com/",
    "file:///etc/passwd",
    "unix:/var/run/docker.sock",
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
