import type { MessageInitShape } from "@bufbuild/protobuf";
import { NearMiss_Edit, type PatternBacktestSchema } from "@sluice/api/control/v1/backtest_pb";
import type { BacktestPatternRequest } from "@sluice/api/ingest/v1/inspect_service_pb";
import { backtest, type PatternEdit } from "@sluice/fetch";
import type { IngestConfig } from "./config.ts";
import { toConnection } from "./load-work.ts";
import { openSource } from "./open-source.ts";
import { toListedObject } from "./to-proto.ts";

const EDITS: Record<PatternEdit, NearMiss_Edit> = {
  other_case: NearMiss_Edit.OTHER_CASE,
  other_separator: NearMiss_Edit.OTHER_SEPARATOR,
  other_date: NearMiss_Edit.OTHER_DATE,
  other_extension: NearMiss_Edit.OTHER_EXTENSION,
  more_text: NearMiss_Edit.MORE_TEXT,
  more_folder: NearMiss_Edit.MORE_FOLDER,
  fewer_folders: NearMiss_Edit.FEWER_FOLDERS,
};

const SHOWN_DATES = 31;
const SHOWN_KEYS = 5;

/** Tries a pattern on the listing of a bucket. */
export async function backtestPattern(
  request: BacktestPatternRequest,
  config: IngestConfig,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof PatternBacktestSchema>> {
  const { prefix, pattern, startDate, endDate, others } = request;
  await using source = openSource(toConnection(request.connection), config);
  const found = await backtest({
    prefix,
    pattern,
    period: { start: startDate, end: endDate },
    others,
    list: (start) => source.listAll({ prefix: start, signal }),
  });
  return {
    pattern,
    days: found.days.map(({ day, keys, bytes, objects }) => ({
      date: day,
      keys: BigInt(keys),
      bytes: BigInt(bytes),
      objects: objects.map(toListedObject),
    })),
    emptyDates: [...found.emptyDays],
    nearMisses: found.nearMisses.map(({ edit, pattern: changed, keys, days }) => ({
      edit: EDITS[edit],
      pattern: changed,
      keys: BigInt(keys.length),
      dates: days.slice(0, SHOWN_DATES),
      exampleKeys: keys.slice(0, SHOWN_KEYS).map((key) => prefix + key),
    })),
    overlaps: found.overlaps.flatMap(({ other, keys }) => {
      const overlap = others[other]?.overlap;
      if (overlap === undefined) return [];
      return [{ ...overlap, keys: BigInt(keys.length), exampleKeys: keys.slice(0, SHOWN_KEYS) }];
    }),
    passedOverKeys: BigInt(found.passedOverKeys),
    listedKeys: BigInt(found.listedKeys),
    complete: found.isComplete,
  };
}
