import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  addressFault,
  checkedAddresses,
  checkedLookup,
  hostOf,
  isPublicAddress,
  OutboundRefused,
  type Resolve,
} from "../src/index.ts";

/** Attack R1: what a name or an address leads to is judged by the address, and that is what is connected to. */

const NONE = new Set<string>();
const standsFor =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

/** What no name opens, allowed or not. */
const NEVER = [
  ...["169.254.169.254", "169.254.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"],
  ...["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "198.18.0.1"],
  ...["fe80::1", "fe80::1%eth0", "::", "ff02::1", "::ffff:169.254.169.254", "::7f00:1"],
  ...["64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "2001::1", "100::1", "::ffff:0:7f00:1"],
];
/** What a name opens that the operator allows. */
const INSIDE = [
  ...["127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"],
  ...["::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"],
];

describe("an address", () => {
  test.each(NEVER)("%s is never opened by a name", async (address) => {
    expect(isPublicAddress(address)).toBe(false);
    for (const allowed of [NONE, new Set(["store.example"])]) {
      const looked = checkedAddresses("store.example", allowed, standsFor(address));
      await expect(looked).rejects.toThrow(OutboundRefused);
    }
    // It can be allowed as such, and then no name opens it either.
    const own = new Set([address]);
    expect(await checkedAddresses(address, own, standsFor(address))).toHaveLength(1);
    const named = checkedAddresses("store.example", own, standsFor(address));
    await expect(named).rejects.toThrow(OutboundRefused);
  });

  test.each(INSIDE)("%s is opened by a name that the operator allows", async (address) => {
    expect(isPublicAddress(address)).toBe(false);
    const looked = checkedAddresses("store.example", NONE, standsFor(address));
    await expect(looked).rejects.toThrow(/^store\.example: .* not an address of the public/);
    const allowed = new Set(["store.example"]);
    expect(await checkedAddresses("store.example", allowed, standsFor(address))).toHaveLength(1);
  });

  test.each(["93.184.215.14", "2606:4700::1111", "8.8.8.8"])("%s is public", async (address) => {
    expect(isPublicAddress(address)).toBe(true);
    expect(addressFault(address)).toBeUndefined();
    expect(await checkedAddresses("a.example", NONE, standsFor(address))).toHaveLength(1);
  });

  test.each([
    ["http://2852039166/", "169.254.169.254"],
    ["http://0x7f.1/", "127.0.0.1"],
    ["http://127.1/", "127.0.0.1"],
    ["http://[::FFFF:169.254.169.254]/", "::ffff:a9fe:a9fe"],
    ["http://[::127.0.0.1]/", "::7f00:1"],
    ["http://①②⑦.0.0.1/", "127.0.0.1"],
  ])("%s is written as %s, and judged as that", (text, host) => {
    expect(hostOf(new URL(text))).toBe(host);
    expect(addressFault(host)).toBeDefined();
  });

  test("that is none is refused", () => {
    for (const text of ["", "localhost", "1.2.3", "store.example"]) {
      expect(isPublicAddress(text)).toBe(false);
    }
  });
});

test("one address of the inside among public ones refuses the name", async () => {
  const mixed = standsFor("93.184.215.14", "10.0.0.1");
  await expect(checkedAddresses("a.example", NONE, mixed)).rejects.toThrow("10.0.0.1");
  await expect(checkedAddresses("a.example", NONE, standsFor())).rejects.toThrow("no address");
});

describe("a connection", () => {
  let server: Server;
  let port: number;
  let asked = 0;
  beforeAll(async () => {
    server = createServer((_, response) => {
      asked++;
      response.end("inside");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => server.close());

  /** One request by a name that stands for another address at every look. */
  async function get(isAllowed: boolean, answers: readonly string[]): Promise<[string, number]> {
    let looks = 0;
    const resolve: Resolve = async (host) =>
      await standsFor(answers[Math.min(looks++, answers.length - 1)] ?? "")(host);
    const lookup = checkedLookup(() => isAllowed, resolve);
    const call = request({ host: "store.example", port, lookup, agent: false });
    const told = await new Promise<string>((done) => {
      call.on("response", (response) => {
        response.resume();
        done(`answered by ${response.socket.remoteAddress}`);
      });
      call.on("error", (error) => done(error.name));
      call.end();
    });
    return [told, looks];
  }

  test("goes to the address that was checked: the name is looked at once", async () => {
    expect(await get(true, ["127.0.0.1", "169.254.169.254"])).toEqual(["answered by 127.0.0.1", 1]);
  });

  test("is not made when the name stands for the inside by now", async () => {
    const before = asked;
    expect(await get(false, ["127.0.0.1"])).toEqual(["OutboundRefused", 1]);
    expect(await get(true, ["169.254.169.254"])).toEqual(["OutboundRefused", 1]);
    expect(asked).toBe(before);
  });

  test("takes the family that is asked for", async () => {
    const lookup = checkedLookup(() => true, standsFor("::1", "127.0.0.1"));
    const look = (options: object): Promise<unknown[]> =>
      new Promise((done) => lookup("store.example", options, (...found) => done(found)));
    expect(await look({ family: 4 })).toEqual([null, "127.0.0.1", 4]);
    expect(await look({ all: true })).toMatchObject([null, [{ family: 6 }, { family: 4 }]]);
    const [error] = await look({ family: 5 });
    expect(String(error)).toContain("no address");
  });
});
