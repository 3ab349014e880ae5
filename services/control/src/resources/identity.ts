import { randomBytes } from "node:crypto";

/** A new opaque id: 120 random bits behind a prefix that tells people what it is of. */
export function makeId(prefix: string): string {
  return `${prefix}_${randomBytes(15).toString("base64url")}`;
}

/** A new etag. Random, so that it says nothing but "changed". */
export function makeEtag(): string {
  return randomBytes(9).toString("base64url");
}

/** What is unique among names, and what lists are ordered by: the name whatever its case. */
export function toNameKey(name: string): string {
  return name.normalize("NFC").toLowerCase();
}
