/** Dates in the order in which they are tried, the documented ones first. */
const DATES = [
  "yyyyMMdd",
  "yyyy-MM-dd",
  "yyyy/MM/dd",
  "MM/dd/yyyy",
  "MM/dd/yy",
  "dd-MMM-yyyy",
  "dd-MMM-yy",
  "dd MMM yyyy",
  "ddMMMyyyy",
  "dd/MM/yyyy",
  "dd.MM.yyyy",
  "dd-MM-yyyy",
  "yyyy.MM.dd",
  "dd/MM/yy",
] as const;

const TIMES = [
  "HH:mm:ss",
  "HH:mm:ss.SSS",
  "HH:mm:ss.SSSSSS",
  "HH:mm:ss.SSSSSSSSS",
  "HH:mm",
  "HHmmss",
  "hh:mm:ss a",
  "hh:mm a",
] as const;
const ZONES = ["", "Z", " z"] as const;

/** A format with what it takes for a value of its form. */
export interface DateFormat {
  /** Joda-style. */
  readonly format: string;
  readonly kind: "date" | "datetime";
  /** Whether fields without a format try it: then one that changes within a column is no harm. */
  readonly isDocumented: boolean;
  readonly isMatch: (value: string) => boolean;
}

const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const PARTS: readonly (readonly [letters: string, group: string, regex: string])[] = [
  ["yyyy", "year", "\\d{4}"],
  ["yy", "short", "\\d{2}"],
  ["MMM", "name", "[A-Za-z]{3}"],
  ["MM", "month", "\\d{2}"],
  ["dd", "day", "\\d{2}"],
  ["HH", "hour", "\\d{2}"],
  ["hh", "half", "\\d{1,2}"],
  ["mm", "minute", "\\d{2}"],
  ["ss", "second", "\\d{2}"],
  ["SSSSSSSSS", "nano", "\\d{7,9}"],
  ["SSSSSS", "micro", "\\d{4,6}"],
  ["SSS", "milli", "\\d{1,3}"],
  ["a", "noon", "[AaPp][Mm]"],
  ["Z", "zone", "(?:Z|[+-]\\d{2}:?\\d{2})"],
  ["z", "zone", "(?:[A-Z]{1,4}|[+-]\\d{2}:?\\d{2})"],
];

function compile(format: string): (value: string) => boolean {
  const regex = format.replace(
    /'([^']*)'|yyyy|yy|MMM|MM|dd|HH|hh|mm|ss|S+|a|Z|z|[^A-Za-z]/g,
    (token, quoted?: string) => {
      if (quoted !== undefined) return quoted;
      const part = PARTS.find(([letters]) => letters === token);
      if (part === undefined) return token.replace(/[.\\/]/g, "\\$&");
      // Without a separator before it, as in yyyyMMdd, a part has all of its digits; else a leading zero may lack.
      const isLoose = (token === "MM" || token === "dd") && /[/.-]/.test(format);
      return `(?<${part[1]}>${isLoose ? "\\d{1,2}" : part[2]})`;
    },
  );
  const whole = new RegExp(`^${regex}$`);
  return (value) => {
    const groups = whole.exec(value)?.groups;
    return groups !== undefined && isPossible(groups);
  };
}

function isPossible(groups: Readonly<Record<string, string | undefined>>): boolean {
  const { year, short, month, name, day, hour, half, minute, second } = groups;
  const m = name === undefined ? Number(month) : MONTHS.indexOf(name.toLowerCase()) + 1;
  const y = year === undefined ? 2000 + Number(short) : Number(year);
  const isDay = m >= 1 && m <= 12 && Number(day) >= 1 && Number(day) <= daysOf(y, m);
  const isYear = year === undefined || (y >= 1900 && y <= 2299);
  return (
    isDay &&
    isYear &&
    Number(hour ?? 0) < 24 &&
    (half === undefined || (Number(half) >= 1 && Number(half) <= 12)) &&
    Number(minute ?? 0) < 60 &&
    Number(second ?? 0) < 60
  );
}

const daysOf = (year: number, month: number): number =>
  new Date(Date.UTC(year, month, 0)).getUTCDate();

const DOCUMENTED = 9;

const FORMATS: readonly DateFormat[] = DATES.flatMap((date, at) => {
  const isDocumented = at < DOCUMENTED;
  const make = (format: string, kind: DateFormat["kind"]): DateFormat => ({
    format,
    kind,
    isDocumented,
    isMatch: compile(format),
  });
  const times = TIMES.flatMap((time) =>
    ZONES.flatMap((zone) => [" ", "'T'"].map((between) => `${date}${between}${time}${zone}`)),
  );
  return [make(date, "date"), ...times.map((format) => make(format, "datetime"))];
});

/** How a text of any of the formats begins. */
const BEGINNING =
  /^(?:\d{8}|\d{4}[-/.]\d{1,2}[-/.]\d|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}|\d{1,2}[- ]?[A-Za-z]{3}[- ]?\d{2})/;

/** The formats that a text has, in the order in which they are tried. */
export function dateFormatsOf(text: string): readonly DateFormat[] {
  // There are many formats, and most texts are no dates.
  if (text.length > 40 || !BEGINNING.test(text)) return [];
  return FORMATS.filter(({ isMatch }) => isMatch(text));
}

/** The first format that all of the texts have; undefined when they have none in common. */
export function commonDateFormat(texts: readonly string[]): DateFormat | undefined {
  const [first, ...rest] = texts;
  if (first === undefined) return undefined;
  return dateFormatsOf(first).find(({ isMatch }) => rest.every(isMatch));
}

/** Whether each of the texts has one of the documented formats, and which kind that makes of them. */
export function mixedDates(texts: readonly string[]): DateFormat["kind"] | undefined {
  let kind: DateFormat["kind"] = "date";
  for (const text of texts) {
    const format = dateFormatsOf(text).find(({ isDocumented }) => isDocumented);
    if (format === undefined) return undefined;
    if (format.kind === "datetime") kind = "datetime";
  }
  return texts.length === 0 ? undefined : kind;
}
