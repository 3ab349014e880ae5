import { StageError } from "@sluice/errors";
import type { NestedPlace } from "@sluice/parse";
import { type Feed, type Field, parseFieldPath } from "@sluice/schema";

/**
 * What a field wants must not load as null, or as a value that lacks a part, because nothing reads it. Throws
 * `parse.unsupported_feature` that names the places where a field wants a column or member that nothing reads, a part
 * of one, or a value around one.
 */
export function assertReadable({ fields }: Feed, unread: readonly NestedPlace[]): void {
  const wanted = fields
    .filter(({ include, lineage }) => include && lineage === undefined)
    .map(pathOf);
  const unreadable = unread.filter((place) => wanted.some((path) => isInLine(place, path)));
  if (unreadable.length === 0) return;
  const names = unreadable.map(spelled).join(", ");
  throw new StageError(
    "parse",
    "unsupported_feature",
    `No type of ClickHouse holds the columns ${names}. Leave their fields out of the feed, or take other parts of a column by path.`,
    { seen: names },
  );
}

const pathOf = ({ path, incomingName }: Field): readonly string[] =>
  path === undefined ? [incomingName] : parseFieldPath(path).map(String);

/** Whether one is the other, or stands inside of it. */
function isInLine(place: NestedPlace, path: readonly string[]): boolean {
  return place
    .slice(0, path.length)
    .every((name, at) => name === undefined || name.toLowerCase() === path[at]?.toLowerCase());
}

const spelled = (place: NestedPlace): string =>
  JSON.stringify(
    place.map((name, at) => (name === undefined ? "[]" : `${at === 0 ? "" : "."}${name}`)).join(""),
  );
