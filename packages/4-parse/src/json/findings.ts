import type { Findings } from "@sluice/schema";
import type { Cells } from "./cells.ts";

/** What the records seen so far tell beside their rows. */
export interface Notes {
  /** Columns that no record had yet. */
  readonly missing: number[];
  /** Names of members that no field takes: the first 100. */
  readonly extra: Set<string>;
  duplicates: number;
  /** Records without an element to explode. */
  unexploded: number;
}

const MAX_EXTRA = 100;

export function createNotes(width: number): Notes {
  return {
    missing: Array.from({ length: width }, (_, column) => column),
    extra: new Set(),
    duplicates: 0,
    unexploded: 0,
  };
}

/** Notes what the scan of a whole record, or of an element of one, came upon. */
export function note(notes: Notes, cells: Cells): void {
  const { missing, extra } = notes;
  let left = 0;
  for (const column of missing) {
    if (cells.rows[column] !== cells.row) missing[left++] = column;
  }
  missing.length = left;
  for (const { prefix, member } of cells.untaken) {
    member.isKnown = true;
    if (extra.size < MAX_EXTRA) extra.add((prefix + spellStep(member.name, prefix)).toWellFormed());
  }
}

export function toFindings(notes: Notes): Findings {
  const { duplicates, unexploded } = notes;
  const warnings: string[] = [];
  if (duplicates > 0) {
    warnings.push(`${records(duplicates)} a key twice in one object: the last one counts`);
  }
  if (unexploded > 0) {
    warnings.push(`${records(unexploded)} no element at explodePath, and gave no row`);
  }
  return { absent: [...notes.missing], extra: [...notes.extra], warnings };
}

function records(count: number): string {
  return count === 1 ? "1 record has" : `${count} records have`;
}

/** A name as a step of a path, when it stands behind one. */
function spellStep(name: string, prefix: string): string {
  return prefix === "" || /^[^.[\]"]+$/.test(name) ? name : JSON.stringify(name);
}
