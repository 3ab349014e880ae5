import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { Lineage } from "@sluice/api/control/v1/feed_pb";
import { type FeedSpec, INTEGER, STRING } from "../e2e/story.ts";
import { type FormatName, type Row, settingsOf } from "./data.ts";
import type { Stack } from "./stack.ts";

/**
 * How rows come into a table: beside the ones that are there (a key of file and row, so that a customer's duplicates
 * stay), in the place of those with their key, or in the place of all.
 */
export type OperationName = "append" | "upsert" | "truncate_and_load";
export const OPERATIONS: readonly OperationName[] = ["append", "upsert", "truncate_and_load"];

/** A feed with its courier, and what its table has to hold. */
export interface Lane {
  readonly operation: OperationName;
  readonly format: FormatName;
  readonly courierId: string;
  /** Key of the object that each run brings anew. */
  readonly key: string;
  readonly table: string;
  /** The truth so far. */
  rows: readonly Row[];
  runs: number;
}

export const DATABASE = "chaos";
let lanes = 0;

export async function createLane(
  stack: Stack,
  operation: OperationName,
  format: FormatName,
): Promise<Lane> {
  const name = `lane_${++lanes}`;
  const isKeyed = operation === "upsert";
  const place: NonNullable<FeedSpec["fields"]> = [
    { incomingName: "file", type: STRING, lineage: Lineage.FILE },
    { incomingName: "entry", type: STRING, lineage: Lineage.ENTRY },
    { incomingName: "row", type: INTEGER, lineage: Lineage.ROW },
  ];
  const { feed } = await stack.feeds.createFeed({
    feed: {
      source: DATABASE,
      name,
      spec: {
        fields: [
          { incomingName: "id", type: INTEGER, require: true },
          { incomingName: "name", type: STRING },
          {
            incomingName: "amount",
            type: { type: { case: "decimal", value: { precision: 12, scale: 2 } } },
          },
          { incomingName: "day", type: { type: { case: "date", value: {} } } },
          ...(isKeyed ? [] : place),
        ],
        primaryKey: isKeyed ? ["id"] : ["file", "entry", "row"],
      },
    },
  });
  const feedId = feed?.id ?? "";
  await stack.feeds.activateFeed({ id: feedId });
  // Appended rows are of new files each time: a key of file and row would be the same otherwise.
  const { courier } = await stack.couriers.createCourier({
    courier: {
      name,
      credentialId: stack.credentialId,
      files: [
        {
          tag: "file",
          selection: { case: "pattern", value: `'${name}/'yyyyMMdd'-'*` },
          settings: settingsOf(format, stack.keys),
          optional: false,
        },
      ],
      loads: [
        {
          feed: { case: "feedId", value: feedId },
          fileTag: "file",
          operation:
            operation === "truncate_and_load"
              ? LoadOperation.TRUNCATE_AND_LOAD
              : LoadOperation.LOAD,
        },
      ],
    },
  });
  return {
    operation,
    format,
    courierId: courier?.id ?? "",
    key: `${name}/`,
    table: `${DATABASE}.${name}`,
    rows: [],
    runs: 0,
  };
}

/** What the table holds once rows have come into it. */
export function afterLoad({ operation, rows }: Lane, incoming: readonly Row[]): Row[] {
  if (operation === "truncate_and_load") return [...incoming];
  if (operation === "append") return [...rows, ...incoming];
  const byId = new Map<string, Row>();
  for (const row of [...rows, ...incoming]) byId.set(row.id, row);
  return [...byId.values()];
}
