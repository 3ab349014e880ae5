import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Where clouds tell a machine its secrets, outside of the link-local range. */
const METADATA = new Set(["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]);

/** What an operator allows by a name: loopback and the ranges of private networks. Metadata needs its own address. */
const INSIDE: readonly string[] = ["loopback", "private", "uniqueLocal", "carrierGradeNat"];

/** The host of an address, as settings spell it: in small letters, IPv6 without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
}

/** Whether an address is one of the public internet. IPv4 inside of IPv6 is judged as what it is. */
export function isPublicAddress(address: string): boolean {
  return rangeOf(address) === "public";
}

/**
 * Why an address may not be connected to, undefined when it may. `isAllowed`: the operator allows the name that stands
 * for it, which opens loopback and private networks, and neither link-local nor the metadata of clouds.
 */
export function addressFault(address: string, isAllowed = false): string | undefined {
  const range = rangeOf(address);
  if (range === "public" || (isAllowed && range === "inside")) return undefined;
  return `${address} is not an address of the public internet, and the operator does not allow it`;
}

function rangeOf(address: string): "public" | "inside" | "never" {
  if (isIP(address) === 0) return "never";
  const parsed = ipaddr.process(address);
  if (METADATA.has(parsed.toString())) return "never";
  const range = parsed.range();
  if (INSIDE.includes(range)) return "inside";
  // Everything that IPv6 gives out lies in 2000::/3: what is outside of it may hold an IPv4 address (::127.0.0.1).
  const isGiven = parsed.kind() === "ipv4" || (parsed.toByteArray()[0] ?? 0) >> 5 === 1;
  return range === "unicast" && isGiven ? "public" : "never";
}
