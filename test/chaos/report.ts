import type { Fault } from "./fault.ts";
import type { RunResult } from "./run.ts";

/** One fault's runs. */
export interface FaultCount {
  readonly id: string;
  readonly title: string;
  readonly runs: number;
  readonly fired: number;
  readonly violations: readonly string[];
  readonly unverified: number;
}

export interface Summary {
  readonly runs: number;
  readonly violations: number;
  readonly unverified: number;
  /** Faults and crash windows that never happened: a harness that did not do its work. */
  readonly neverFired: readonly string[];
  readonly faults: readonly FaultCount[];
  readonly isGood: boolean;
  readonly text: string;
}

export function inWords(result: RunResult): string {
  const { fault, seed, operation, format, verdict, end, fired, attempts, looks, ms } = result;
  const head = `${verdict} ${fault} seed ${seed} ${operation} ${format}`;
  const facts = `fired ${fired}, ${attempts} attempts, ${looks} looks, ${ms} ms: ${end}`;
  const found = result.violations.map(({ invariant, detail }) => `\n    ${invariant} ${detail}`);
  return `${head} (${facts})${found.join("")}`;
}

export function report(
  played: readonly Fault[],
  results: readonly RunResult[],
  visits: ReadonlyMap<string, number>,
): Summary {
  const faults = played.map(({ id, title, breaks }): FaultCount => {
    const own = results.filter(({ fault }) => fault === id);
    const violations = own.flatMap((result) => result.violations.map(({ invariant }) => invariant));
    // A negative control is good when it was found.
    const isFound = breaks !== undefined && violations.includes(breaks);
    const blind = breaks !== undefined && own.length > 0 && !isFound ? [`${breaks} not found`] : [];
    return {
      id,
      title,
      runs: own.length,
      fired: own.filter(({ fired }) => fired > 0).length,
      violations: breaks === undefined ? violations : blind,
      unverified: own.filter(({ verdict }) => verdict === "UNVERIFIED").length,
    };
  });
  const violations = faults.reduce((sum, fault) => sum + fault.violations.length, 0);
  const unverified = faults.reduce((sum, fault) => sum + fault.unverified, 0);
  const neverFired = faults
    .filter(({ runs, fired }) => runs > 0 && fired === 0)
    .map(({ id }) => id);
  const bound = results.length === 0 ? 1 : 3 / results.length;
  const lines = [
    "",
    "fault | runs | fired | violations | unverified",
    ...faults.map((count) =>
      [count.id, count.runs, count.fired, count.violations.join(" ") || 0, count.unverified].join(
        " | ",
      ),
    ),
    "",
    `${results.length} runs, ${violations} violations, ${unverified} unverified, never fired: ${neverFired.join(", ") || "none"}`,
    `crash points visited: ${[...visits].map(([point, count]) => `${point} ${count}`).join(", ")}`,
    ...(violations === 0
      ? [`95 % bound on the rate of violations: ${(bound * 100).toFixed(2)} %`]
      : []),
  ];
  return {
    runs: results.length,
    violations,
    unverified,
    neverFired,
    faults,
    isGood: violations === 0 && unverified === 0 && neverFired.length === 0,
    text: lines.join("\n"),
  };
}
