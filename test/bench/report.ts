import { type Check, isGood, type LoadResult, type Result, type Spread } from "./result.ts";

/** A Markdown table of all loads, one of all that was timed by itself, and what gave no figures. */
export function table(results: readonly Result[]): string {
  const loads = results.filter((result) => result.kind === "load");
  const latencies = results.filter((result) => result.kind === "latency");
  const none = results.filter((result) => "reason" in result);
  return [
    loads.length > 0 ? rowsOf(LOAD_COLUMNS, loads) : "",
    latencies.length > 0
      ? rowsOf(
          LATENCY_COLUMNS,
          latencies.flatMap((each) =>
            Object.entries(each.ms).map(([what, ms]) => ({
              name: each.case,
              what,
              ms,
              check: each.checks[0],
            })),
          ),
        )
      : "",
    ...latencies.flatMap(({ refused }) =>
      Object.entries(refused).map(([what, why]) => `- no figure for ${what}: ${why}`),
    ),
    ...none.map((result) => `- **${result.case}** ${result.kind}: ${result.reason}`),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

type Columns<T> = readonly (readonly [head: string, cell: (row: T) => string])[];

function rowsOf<T>(columns: Columns<T>, rows: readonly T[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(columns.map(([head]) => head)),
    line(columns.map(() => "---")),
    ...rows.map((row) => line(columns.map(([, cell]) => cell(row).replaceAll("|", "\\|")))),
  ].join("\n");
}

const seconds = ({ median, min, max }: Spread): string =>
  `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;
const millions = (value: number): string => (value / 1e6).toFixed(value < 1e7 ? 2 : 1);

/** In a word, how far it came; what else was missed is named. */
function verdict(result: LoadResult & Result): string {
  const missed = result.checks.filter(({ is_reached }) => !is_reached);
  if (isGood(result)) return result.ratio >= result.beyond ? "beyond" : "yes";
  return `**no**: ${missed.map(missText).join("; ")}`;
}

const missText = ({ what, value, limit }: Check): string =>
  `${what} ${value.toFixed(2)} (${limit})`;

const LOAD_COLUMNS: Columns<LoadResult & Result> = [
  ["case", (row) => row.case],
  ["peer", (row) => row.peer],
  ["rows, M", (row) => millions(row.rows)],
  ["MB in S3", (row) => (row.bytes / 1e6).toFixed(0)],
  ["ours, s", (row) => seconds(row.ours_s)],
  ["peer, s", (row) => seconds(row.peer_s)],
  ["ratio", (row) => `**${row.ratio.toFixed(2)}**`],
  ["to reach", (row) => String(row.to_reach)],
  ["beyond", (row) => String(row.beyond)],
  ["reached", verdict],
  ["MB/s", (row) => row.mb_per_s.toFixed(0)],
  ["k rows/s", (row) => (row.rows_per_s / 1e3).toFixed(0)],
  ["CPU-s ingest", (row) => row.ingest_cpu_s.toFixed(2)],
  ["CPU-s control", (row) => row.control_cpu_s.toFixed(2)],
  ["peak RSS, MB", (row) => (row.peak_rss_bytes / 1e6).toFixed(0)],
  ["route", (row) => row.route],
];

interface Timed {
  readonly name: string;
  readonly what: string;
  readonly ms: Spread;
  readonly check: Check | undefined;
}

const LATENCY_COLUMNS: Columns<Timed> = [
  ["case", (row) => row.name],
  ["of", (row) => row.what],
  ["ms", ({ ms }) => `${ms.median.toFixed(0)} (${ms.min.toFixed(0)}-${ms.max.toFixed(0)})`],
  ["to reach, ms", (row) => String(row.check?.limit ?? "")],
  ["reached", ({ ms, check }) => (check && ms.median <= check.limit ? "yes" : "**no**")],
];
