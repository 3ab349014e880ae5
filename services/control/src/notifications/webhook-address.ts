import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Hosts that the operator allows although they are not public, or are spoken to without TLS: names or addresses. */
export type AllowedHosts = ReadonlySet<string>;

/**
 * Why nothing may be posted to an address, as far as its text tells; undefined when it may. What a name stands for is
 * looked at when it is posted to: see {@link publicAddresses}.
 */
export function webhookUrlFault(text: string, allowed: AllowedHosts): string | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return "is not an https address";
  }
  if (url.username !== "" || url.password !== "") return "must not hold a user name or a password";
  if (url.hash !== "") return "must not have a fragment";
  const host = hostOf(url);
  if (allowed.has(host)) return undefined;
  if (url.protocol !== "https:") return `is not https, and the operator does not allow ${host}`;
  if (isIP(host) !== 0 && !isPublic(host)) return notPublic(host);
  return undefined;
}

/**
 * The addresses that a host stands for now. Throws when one of them is not public and the operator does not allow the
 * host: a name may stand for something else than it did when the webhook was made. Connect to these, not to the name.
 */
export async function publicAddresses(
  host: string,
  allowed: AllowedHosts,
  resolve: (host: string) => Promise<LookupAddress[]> = (name) => lookup(name, { all: true }),
): Promise<LookupAddress[]> {
  const addresses = await resolve(host);
  if (addresses.length === 0) throw new Error(`${host} has no address`);
  if (allowed.has(host)) return addresses;
  const refused = addresses.find(({ address }) => !isPublic(address));
  if (refused !== undefined) throw new Error(`${host}: ${notPublic(refused.address)}`);
  return addresses;
}

/** The host of an address, as settings spell it: in small letters, IPv6 without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
}

/** Whether an address is one of the public internet. IPv4 inside of IPv6 is judged as what it is. */
function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "unicast";
}

function notPublic(address: string): string {
  return `${address} is not an address of the public internet, and the operator does not allow it`;
}
