import { isIP } from "node:net";
import { type AllowedHosts, addressFault, hostOf } from "@sluice/outbound";

/**
 * Why nothing may be posted to an address, as far as its text tells; undefined when it may. What a name stands for is
 * looked at when it is posted to.
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
  if (isServicePort(url.port)) return `names port ${url.port}, which is of another service`;
  return isIP(host) === 0 ? undefined : addressFault(host);
}

/** Ports below 1024 belong to services that are no receivers of webhooks: SSH, SMTP, LDAP, ... */
function isServicePort(port: string): boolean {
  return port !== "" && port !== "443" && Number(port) < 1024;
}
