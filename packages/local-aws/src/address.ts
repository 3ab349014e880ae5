import type { AccessPoint, Accounts } from "./accounts.ts";
import { decode, type HttpRequest } from "./http-request.ts";

/** Which bucket and key a request names, in path style or by its host. */
export interface Address {
  /** Empty when the request is to the service itself. */
  readonly bucketName: string;
  /** Empty when the request is to the bucket. */
  readonly key: string;
  readonly accessPoint: AccessPoint | undefined;
}

const ENDPOINT =
  /^(?<bucket>.+)\.(?:localhost|127\.0\.0\.1|s3(?:-accesspoint)?(?:[.-][a-z0-9-]+)?\.amazonaws\.com)$/;

/**
 * Reads the address: `/bucket/key`, `bucket.localhost/key`, and in the bucket's place an access point's alias, its
 * ARN, or its host name `<name>-<account>`.
 */
export function readAddress(request: HttpRequest, accounts: Accounts): Address {
  const host = (request.headers.get("host") ?? "").replace(/:\d+$/, "").toLowerCase();
  const fromHost = ENDPOINT.exec(host)?.groups?.bucket;
  if (fromHost !== undefined) return resolve(fromHost, request.path.slice(1), accounts);
  const path = request.rawPath.slice(1);
  const slash = path.indexOf("/");
  const first = decode(slash < 0 ? path : path.slice(0, slash));
  const rest = slash < 0 ? "" : path.slice(slash + 1);
  if (!first.startsWith("arn:") || first.includes("/")) {
    return resolve(first, decode(rest), accounts);
  }
  // The slash of an ARN (…:accesspoint/name) may come unescaped.
  const next = rest.indexOf("/");
  const name = decode(next < 0 ? rest : rest.slice(0, next));
  return resolve(`${first}/${name}`, next < 0 ? "" : decode(rest.slice(next + 1)), accounts);
}

function resolve(named: string, key: string, accounts: Accounts): Address {
  const arn = /^arn:aws:s3:[a-z0-9-]+:(\d{12}):accesspoint[/:](.+)$/.exec(named);
  const byHost = named.endsWith(`-${accounts.accountId}`)
    ? named.slice(0, -accounts.accountId.length - 1)
    : named;
  const isKnownBucket = accounts.bucket(named) !== undefined;
  const accessPoint =
    arn !== null
      ? accounts.accessPoint(arn[2] ?? "")
      : isKnownBucket
        ? undefined
        : accessPointOf(named, byHost, accounts);
  return { bucketName: accessPoint?.bucket ?? named, key, accessPoint };
}

// A plain name is an access point's only with the account behind it; an alias stands for itself.
function accessPointOf(named: string, byHost: string, accounts: Accounts): AccessPoint | undefined {
  if (named.endsWith("-s3alias") || byHost !== named) return accounts.accessPoint(byHost);
  return undefined;
}
