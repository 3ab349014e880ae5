import { StageError } from "@sluice/errors";

/** What a group of a pattern holds. */
export type TimePart =
  | "year"
  | "shortYear"
  | "month"
  | "monthName"
  | "day"
  | "hour"
  | "hour12"
  | "minute"
  | "second"
  | "fraction"
  | "half"
  | "zone";

/** A regular expression over a whole value, and what each of its groups holds, in order. */
export interface TimePattern {
  readonly regex: string;
  readonly groups: readonly TimePart[];
}

const MONTH =
  "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
const DAY_NAME =
  "(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)";

/** Zone names with their seconds east of Greenwich: the ones that Joda-Time itself prints for the US, and UTC's. */
export const ZONE_SECONDS: ReadonlyMap<string, number> = new Map([
  ["z", 0],
  ["ut", 0],
  ["utc", 0],
  ["gmt", 0],
  ["est", -5 * 3600],
  ["edt", -4 * 3600],
  ["cst", -6 * 3600],
  ["cdt", -5 * 3600],
  ["mst", -7 * 3600],
  ["mdt", -6 * 3600],
  ["pst", -8 * 3600],
  ["pdt", -7 * 3600],
]);
const ZONE = `(${[...ZONE_SECONDS.keys()].join("|")}|[+-](?:0[0-9]|1[0-8]):?[0-5][0-9])`;

const whole = (pattern: string): string => `(?i)^(?:${pattern})$`;

/** The documented dates in their order: yyyyMMdd, yyyy-MM-dd, yyyy/MM/dd, MM/dd/yyyy, MM/dd/yy, dd-MMM-yyyy, dd-MMM-yy, dd MMM yyyy, ddMMMyyyy. */
const DATE_FORMS: readonly TimePattern[] = [
  { regex: "([0-9]{4})([0-9]{2})([0-9]{2})", groups: ["year", "month", "day"] },
  { regex: "([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", groups: ["year", "month", "day"] },
  { regex: "([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})", groups: ["year", "month", "day"] },
  { regex: "([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", groups: ["month", "day", "year"] },
  { regex: "([0-9]{1,2})/([0-9]{1,2})/([0-9]{2})", groups: ["month", "day", "shortYear"] },
  { regex: `([0-9]{1,2})-${MONTH}-([0-9]{4})`, groups: ["day", "monthName", "year"] },
  { regex: `([0-9]{1,2})-${MONTH}-([0-9]{2})`, groups: ["day", "monthName", "shortYear"] },
  { regex: `([0-9]{1,2}) ${MONTH} ([0-9]{4})`, groups: ["day", "monthName", "year"] },
  { regex: `([0-9]{2})${MONTH}([0-9]{4})`, groups: ["day", "monthName", "year"] },
];

/** The documented times: HHmmss, HH:mm:ss, HH:mm, HH, hh:mm:ss a, hh:mm a, each with what may follow it. */
const TIME_FORMS: readonly TimePattern[] = [
  {
    regex: `([0-9]{2})([0-9]{2})([0-9]{2})(?:[.]([0-9]{1,9}))?(?: ?${ZONE})?`,
    groups: ["hour", "minute", "second", "fraction", "zone"],
  },
  {
    regex: `([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.]([0-9]{1,9}))?)?(?: ?${ZONE})?`,
    groups: ["hour", "minute", "second", "fraction", "zone"],
  },
  { regex: "([0-9]{2})", groups: ["hour"] },
  {
    regex: `([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))? ?([ap]m)(?: ${ZONE})?`,
    groups: ["hour12", "minute", "second", "half", "zone"],
  },
];

function anyOf(forms: readonly TimePattern[]): TimePattern {
  return {
    regex: `(?:${forms.map((form) => form.regex).join("|")})`,
    groups: forms.flatMap((form) => form.groups),
  };
}

const dates = anyOf(DATE_FORMS);
const times = anyOf(TIME_FORMS);

/** What a date is tried as when its field names no format. */
export const DEFAULT_DATE: TimePattern = { regex: whole(dates.regex), groups: dates.groups };

/** What a datetime is tried as: a date, and after a blank or T a time; 14 digits are both. */
export const DEFAULT_DATETIME: TimePattern = {
  regex: whole(`${dates.regex}(?:[T ]${times.regex})?|([0-9]{4})${"([0-9]{2})".repeat(5)}`),
  groups: [...dates.groups, ...times.groups, "year", "month", "day", "hour", "minute", "second"],
};

const NUMERIC = new Set(["y", "Y", "M", "d", "H", "h", "m", "s", "S"]);

/** One run of a pattern letter: `tight` says that digits of another run touch it. */
function letterForm(letter: string, length: number, tight: boolean): TimePattern | undefined {
  const number = tight ? `([0-9]{${Math.max(length, 2)}})` : "([0-9]{1,2})";
  switch (letter) {
    case "y":
    // Joda-Time's year of era; never the year of a week, as others mean it.
    case "Y":
      return length === 2
        ? { regex: "([0-9]{2})", groups: ["shortYear"] }
        : { regex: "([0-9]{4})", groups: ["year"] };
    case "M":
      return length >= 3
        ? { regex: MONTH, groups: ["monthName"] }
        : { regex: number, groups: ["month"] };
    case "d":
      return { regex: number, groups: ["day"] };
    case "H":
      return { regex: number, groups: ["hour"] };
    case "h":
      return { regex: number, groups: ["hour12"] };
    case "m":
      return { regex: number, groups: ["minute"] };
    case "s":
      return { regex: number, groups: ["second"] };
    case "S":
      return { regex: `([0-9]{1,${Math.min(length, 9)}})`, groups: ["fraction"] };
    case "a":
      return { regex: "([ap]m)", groups: ["half"] };
    case "E":
      return { regex: DAY_NAME, groups: [] };
    case "Z":
    case "z":
      return { regex: ZONE, groups: ["zone"] };
    default:
      return undefined;
  }
}

const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/**
 * A Joda-style format as a pattern over whole values: the letters y Y M d H h m s S a E Z z, text in
 * single quotes, two quotes for one; any other letter is refused with `cast.schema_mismatch`.
 */
export function compileTimeFormat(format: string, fieldName: string): TimePattern {
  const tokens = format.match(/''|'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z]/g) ?? [];
  const isNumber = (token: string | undefined): boolean =>
    token !== undefined && NUMERIC.has(token[0] ?? "") && !(token[0] === "M" && token.length > 2);
  let regex = "";
  const groups: TimePart[] = [];
  for (const [at, token] of tokens.entries()) {
    if (token === "''") {
      regex += "'";
    } else if (token.startsWith("'") && token.length > 1) {
      regex += escapeRegex(token.slice(1, -1).replaceAll("''", "'"));
    } else if (/[A-Za-z]/.test(token)) {
      const tight = isNumber(tokens[at - 1]) || isNumber(tokens[at + 1]);
      const form = letterForm(token[0] ?? "", token.length, tight);
      if (form === undefined) {
        throw new StageError(
          "cast",
          "schema_mismatch",
          `the format of field ${JSON.stringify(fieldName)} has the letter ${token[0]}, which is not supported`,
          {
            seen: format,
            expected: "the letters y Y M d H h m s S a E Z z, and text in single quotes",
          },
        );
      }
      regex += form.regex;
      groups.push(...form.groups);
    } else {
      regex += escapeRegex(token);
    }
  }
  return { regex: whole(regex), groups };
}
