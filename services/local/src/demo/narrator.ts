/** Tells what happens, and counts what was claimed and checked. */
export interface Narrator {
  step(title: string): void;
  say(line: string): void;
  /** A line that is written over by the next one on a terminal, and left out elsewhere. */
  live(line: string): void;
  /** Claims that two values are equal; the demo fails at the end if one claim did not hold. */
  check<T extends string | number | boolean>(claim: string, actual: T, expected: T): void;
  table(rows: readonly Readonly<Record<string, unknown>>[]): void;
  readonly checks: number;
  readonly failed: number;
}

const MAX_CELL = 26;

export function createNarrator(output: NodeJS.WriteStream): Narrator {
  let steps = 0;
  let checks = 0;
  let failed = 0;
  const say = (line: string): void => {
    output.write(`${output.isTTY ? "\r\u001b[K" : ""}   ${line}\n`);
  };
  return {
    say,
    step(title) {
      steps++;
      output.write(`\n${String(steps).padStart(2)} ${title}\n`);
    },
    live(line) {
      if (output.isTTY) output.write(`\r\u001b[K   ${line}`);
    },
    check(claim, actual, expected) {
      checks++;
      const holds = actual === expected;
      if (!holds) failed++;
      say(holds ? `✓ ${claim}: ${actual}` : `✗ ${claim}: ${actual}, but expected ${expected}`);
    },
    table(rows) {
      const names = Object.keys(rows[0] ?? {});
      const cells = rows.map((row) => names.map((name) => toCell(row[name])));
      const widths = names.map((name, i) =>
        Math.max(name.length, ...cells.map((row) => row[i]?.length ?? 0)),
      );
      const line = (values: readonly string[]): string =>
        values.map((value, i) => value.padEnd(widths[i] ?? 0)).join("  ");
      say(line(names));
      for (const row of cells) say(line(row));
    },
    get checks() {
      return checks;
    },
    get failed() {
      return failed;
    },
  };
}

function toCell(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL - 1)}…` : text;
}
