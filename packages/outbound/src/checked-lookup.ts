import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { addressFault } from "./address.ts";

/** Hosts that the operator allows although they are not public: names or addresses, as `hostOf` spells them. */
export type AllowedHosts = ReadonlySet<string>;

/** Gives all addresses that a name stands for now. */
export type Resolve = (host: string) => Promise<LookupAddress[]>;

/** Nothing was sent: the name stands for a place inside. */
export class OutboundRefused extends Error {
  override readonly name: string = "OutboundRefused";
}

const bySystem: Resolve = async (host) => await lookup(host, { all: true });

/**
 * The addresses that a host stands for now. Throws OutboundRefused when one of them may not be connected to: a name may
 * stand for something else than it did when it was saved. Connect to these, not to the name.
 */
export async function checkedAddresses(
  host: string,
  allowed: AllowedHosts,
  resolve: Resolve = bySystem,
): Promise<LookupAddress[]> {
  const addresses =
    isIP(host) === 0 ? await resolve(host) : [{ address: host, family: isIP(host) }];
  if (addresses.length === 0) throw new Error(`${host} has no address`);
  for (const { address } of addresses) {
    // An address that the operator allows is allowed by itself: no name may stand for it that is not allowed too.
    if (address === host && allowed.has(address)) continue;
    const fault = addressFault(address, allowed.has(host));
    if (fault !== undefined) {
      throw new OutboundRefused(fault.startsWith(host) ? fault : `${host}: ${fault}`);
    }
  }
  return addresses;
}

/**
 * For the option `lookup` of an agent or a socket: connects to the addresses that were checked, in one look, so that a
 * second answer can't be another one. Node does not ask it for a host that is an address: check those by their text.
 */
export function checkedLookup(
  isAllowed: (host: string) => boolean,
  resolve: Resolve = bySystem,
): LookupFunction {
  return (host, options, done) => {
    const allowed = new Set(isAllowed(host) ? [host] : []);
    checkedAddresses(host, allowed, resolve).then(
      (addresses) => {
        const { family } = options;
        const wanted = addresses.filter((found) => !family || found.family === family);
        const [first] = wanted;
        if (options.all === true) done(null, wanted);
        else if (first === undefined) done(new Error(`${host} has no address`), "");
        else done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, ""),
    );
  };
}
