export { addressFault, hostOf, isPublicAddress } from "./address.ts";
export {
  type AllowedHosts,
  checkedAddresses,
  checkedLookup,
  OutboundRefused,
  type Resolve,
} from "./checked-lookup.ts";
