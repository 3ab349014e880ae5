import { type RawBuilder, sql } from "kysely";
import { fileTagsOfFeed, type Plan } from "./plan.ts";

/** Which small objects are loaded together: decided once, by the frozen list alone, so that every attempt has the same. */

/** Larger objects are loaded by themselves. */
const MAX_OBJECT_BYTES = 1024 * 1024;
/** Bytes of the objects of a unit, or one object more. */
const UNIT_BYTES = 4 * 1024 * 1024;
/** What an object counts for at least, so that a unit has no more than 256 of them. */
const LEAST_BYTES = 16 * 1024;
/** Ordinals of a unit are no further apart: their distance is 15 bits of what a row carries. */
const ORDINALS = 32_768;

/** The files of a feed whose objects may be loaded together: each gives the rows of one entry, read from its first byte on. */
export function unitTags(plan: Plan, feedId: string): string[] {
  if (plan.replayOf !== undefined || plan.comparison !== undefined) return [];
  const streamed = new Set(
    plan.courier.files.flatMap(({ tag, settings }) =>
      settings === undefined ||
      settings.archive !== undefined ||
      settings.format.case === undefined ||
      settings.format.case === "parquet"
        ? []
        : [tag],
    ),
  );
  return fileTagsOfFeed(plan, feedId).filter((tag) => streamed.has(tag));
}

/** Of the rows of `inUnits`: the place of the first object of the row's unit, and how many it has; null for none. */
export const UNIT: RawBuilder<number | null> = sql<
  number | null
>`case when unit_size > 1 then unit_place end`;
export const UNIT_TASKS: RawBuilder<number | null> = sql<
  number | null
>`case when unit_size > 1 then unit_size end`;

/** Rows of the frozen manifest with their `place`, and with their units beside them. */
export function inUnits(
  objects: RawBuilder<unknown>,
  tags: readonly string[],
): RawBuilder<unknown> {
  return sql`
    select *,
           (case when is_small then min(place) over unit end)::integer as unit_place,
           (case when is_small then count(*) over unit end)::integer as unit_size
    from (
      select *, div(sum(greatest(size, ${LEAST_BYTES}::bigint)) over (
          partition by file_tag, is_small, place / ${ORDINALS}::integer order by place
        ) - 1, ${UNIT_BYTES}) as filled
      from (
        select *, size <= ${MAX_OBJECT_BYTES}::bigint and file_tag = any(${[...tags]}::text[]) as is_small
        from (${objects}) as placed
      ) as sized
    ) as filled
    window unit as (partition by file_tag, is_small, place / ${ORDINALS}::integer, filled)`;
}
