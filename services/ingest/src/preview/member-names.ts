import type { Field } from "@sluice/schema";
import type { Peeked } from "@sluice/streams";
import type { StreamedFormat } from "../entry-sink.ts";
import type { StageLimits } from "../limits.ts";
import { parserOf } from "../load-entry.ts";
import { ENOUGH } from "./enough.ts";
import { textField } from "./typing.ts";

/** Members that are shown when nobody says which; more make no table. */
const MAX_MEMBERS = 1_000;

/**
 * The members that the records of a head have, as fields that take them as text: found by the format's own parser,
 * which tells what no field took. A head
 * of fewer bytes than were wanted is the whole file. None for delimited text, whose columns name themselves.
 */
export async function memberNames(
  { head }: Pick<Peeked, "head">,
  wanted: number,
  format: StreamedFormat,
  limits: StageLimits,
): Promise<readonly Field[]> {
  if (format.kind === "delimited") return [];
  const explodePath = format.kind === "avro" ? "" : format.explodePath;
  const isWhole = head.byteLength < wanted;
  const fields = new Map<string, Field>();
  // The parser tells of a hundred names at a time.
  while (fields.size < MAX_MEMBERS) {
    const found = await untaken(head, isWhole, format, [...fields.values()], limits);
    const fresh = found.filter((name) => !fields.has(name));
    if (fresh.length === 0) break;
    for (const name of fresh) fields.set(name, toField(name, explodePath));
  }
  return [...fields.values()];
}

function toField(name: string, explodePath: string): Field {
  const isInside = explodePath !== "" && name.startsWith(`${explodePath}.`);
  return isInside ? textField(name, name) : textField(name);
}

async function untaken(
  head: Uint8Array,
  isWhole: boolean,
  format: StreamedFormat,
  fields: readonly Field[],
  limits: StageLimits,
): Promise<readonly string[]> {
  const parsed = await parserOf(format, fields, limits)(pieces(head, isWhole));
  try {
    for await (const _ of parsed.blocks);
  } catch {
    // The head ends somewhere inside a record, or the file is damaged: the names before that are the answer, and the
    // table's own reading says what is wrong.
  }
  return parsed.findings?.().extra ?? [];
}

async function* pieces(head: Uint8Array, isWhole: boolean): AsyncGenerator<Uint8Array> {
  yield head;
  // The end of a head must not look like the end of the file.
  if (!isWhole) throw ENOUGH;
}
