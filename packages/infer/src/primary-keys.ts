import type { InferredField } from "./infer-fields.ts";

/** Fields that could identify a row. */
export interface PrimaryKeyCandidate {
  /** Names of the fields. */
  readonly fields: readonly string[];
  /** Distinct keys by rows of the sample, from 0 to 1. */
  readonly uniqueShare: number;
  /** That they identify every row, from 0 to 1. */
  readonly confidence: number;
  readonly evidence: string;
}

const MAX_CANDIDATES = 5;
/** Fields of which pairs are made. */
const MAX_PAIRED = 12;
const KEY_NAME = /(^|_)(id|key|pk|uuid|guid|number|no|code|sku)$|^(id|key|pk|uuid|guid)/i;
const KINDS: readonly string[] = ["integer", "string", "decimal", "date", "datetime"];

/**
 * What identifies the rows of a sample, the most likely first: single fields without nulls by their uniqueness, those
 * named like keys before others; pairs of fields where no single one is unique.
 */
export function primaryKeyCandidates(
  fields: readonly InferredField[],
): readonly PrimaryKeyCandidate[] {
  const rows = fields[0]?.values.length ?? 0;
  if (rows === 0) return [];
  const usable = fields.filter(
    ({ isNullable, type, values }) =>
      !isNullable && KINDS.includes(type.kind) && !values.includes("") && !values.some(isNested),
  );
  const share = (chosen: readonly InferredField[]): number =>
    new Set(values(chosen, rows)).size / rows;
  const singles = usable.map((field) => ({ chosen: [field], uniqueShare: share([field]) }));
  const isUnique = singles.some(({ uniqueShare }) => uniqueShare === 1);
  const paired = isUnique
    ? []
    : usable
        .slice(0, MAX_PAIRED)
        .flatMap((one, at) =>
          usable
            .slice(at + 1, MAX_PAIRED)
            .map((other) => ({ chosen: [one, other], uniqueShare: share([one, other]) })),
        );
  const rank = ({ chosen, uniqueShare }: (typeof singles)[number]): number =>
    uniqueShare * 10 +
    (chosen.every(isNamedLikeKey) ? 1 : 0) -
    chosen.length * 0.1 -
    // Moments and amounts may be unique by chance.
    (chosen.some(({ type }) => type.kind !== "integer" && type.kind !== "string") ? 0.8 : 0);
  return [...singles, ...paired]
    .filter(({ uniqueShare }) => uniqueShare >= 0.9)
    .toSorted((a, b) => rank(b) - rank(a))
    .slice(0, MAX_CANDIDATES)
    .map((candidate) => describe(candidate, rows));
}

interface Candidate {
  readonly chosen: readonly InferredField[];
  readonly uniqueShare: number;
}

/** Keys that are unique by chance are: so few rows say little, and a name of a key says much. */
function describe({ chosen, uniqueShare }: Candidate, rows: number): PrimaryKeyCandidate {
  const isNamed = chosen.every(isNamedLikeKey);
  const named = isNamed ? ", and the name is that of a key" : "";
  const distinct = Math.round(uniqueShare * rows);
  // One key twice, and it identifies no row for sure.
  const most = uniqueShare < 1 ? 0.1 : isNamed ? 0.95 : 0.7;
  return {
    fields: chosen.map(({ name }) => name),
    uniqueShare,
    confidence: Math.round((most * rows * 100) / (rows + 2)) / 100,
    evidence: `${distinct} keys in ${rows} rows, none of them empty${named}`,
  };
}

const isNamedLikeKey = ({ incomingName }: InferredField): boolean => KEY_NAME.test(incomingName);

const isNested = (value: string | null): boolean => value !== null && /^[[{]/.test(value);

function values(fields: readonly InferredField[], rows: number): string[] {
  return Array.from({ length: rows }, (_, row) =>
    JSON.stringify(fields.map((field) => field.values[row])),
  );
}
