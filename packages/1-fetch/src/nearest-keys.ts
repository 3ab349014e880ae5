/** The most characters of two keys that are compared; what lies behind is taken as equal. */
const MAX_COMPARED = 200;

/** The `count` candidates that are fewest edits away from what was wanted, nearest first. */
export function nearestKeys(
  wanted: string,
  candidates: readonly string[],
  count: number,
): string[] {
  return candidates
    .map((key) => ({ key, distance: editDistance(wanted, key) }))
    .sort((a, b) => a.distance - b.distance || (a.key < b.key ? -1 : 1))
    .slice(0, count)
    .map(({ key }) => key);
}

const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tzst|tar\.\w+)(\.(pgp|gpg))?$/i;
const folderOf = (key: string): string => key.slice(0, key.lastIndexOf("/") + 1);
/** Two keys that differ in numbers alone are of two days, or of two parts. */
const withoutNumbers = (key: string): string => key.replace(/\d+/g, "0");

/** The archive that surely was meant by a key that is not there; undefined when none is alike, or only another day's. */
export function archiveByAnotherName({
  lookedFor,
  nearest,
}: {
  readonly lookedFor: string;
  readonly nearest: readonly string[];
}): string | undefined {
  const most = (lookedFor.length - folderOf(lookedFor).length) / 2;
  return nearest.find(
    (key) =>
      ARCHIVE.test(key) &&
      folderOf(key) === folderOf(lookedFor) &&
      withoutNumbers(key) !== withoutNumbers(lookedFor) &&
      editDistance(lookedFor, key) <= most,
  );
}

/** Levenshtein's distance of what is left when the common beginning and end are taken away. */
function editDistance(a: string, b: string): number {
  let from = 0;
  while (from < a.length && from < b.length && a[from] === b[from]) from++;
  let cut = 0;
  while (
    cut < a.length - from &&
    cut < b.length - from &&
    a[a.length - 1 - cut] === b[b.length - 1 - cut]
  ) {
    cut++;
  }
  const left = a.slice(from, a.length - cut).slice(0, MAX_COMPARED);
  const right = b.slice(from, b.length - cut).slice(0, MAX_COMPARED);
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
  }
  return row[right.length] ?? 0;
}
