import type { Feed, Field } from "@sluice/schema";

/** What values are cast by: fields, and the names of those that identify a row. */
export type Typing = Pick<Feed, "fields" | "primaryKey">;

/** A feed that is kept nowhere. */
export function feedOf({ fields, primaryKey }: Typing): Feed {
  return {
    id: "",
    source: "",
    name: "",
    version: 0,
    fields,
    primaryKey,
    errorThresholdPercent: 100,
    makeAvailableToStitch: false,
  };
}

/** A field that takes a member or column as text, whatever it is. */
export function textField(incomingName: string, path?: string): Field {
  return {
    incomingName,
    ...(path === undefined ? {} : { path }),
    name: path ?? incomingName,
    type: { kind: "string" },
    semanticTags: [],
    include: true,
    require: false,
  };
}
