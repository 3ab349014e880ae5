import type { Field } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { feedOf, field, stageRows, startTestServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS random SYNC"));

/** Texts that are cast as one field. */
interface Sample {
  readonly field: Field;
  readonly texts: readonly (string | Uint8Array)[];
}

/** What became of each text: the value as text, null, or `!` and the code. All samples are one load. */
async function castAll(samples: readonly Sample[]): Promise<(string | null)[][]> {
  const fields = samples.map((sample, at) => ({
    ...sample.field,
    name: `v${at}`,
    incomingName: `v${at}`,
  }));
  const feed = feedOf([field("id", "integer"), ...fields], { source: "random", name: "t" });
  const cells = samples.flatMap(({ texts }, at) => texts.map((text) => ({ at, text })));
  const rows = cells.map(({ at, text }, id) => [
    String(id),
    ...samples.map((_, column) => (column === at ? text : null)),
  ]);
  await stageRows(server, feed, rows);
  // Of one row at most one value is not null, since the others' texts are not.
  const values = fields.map(({ name }) => `toString(${name})`);
  const found = await server.rows<{ id: number; v: string | null }>(
    `SELECT toUInt32(id) AS id, coalesce(${values.join(", ")}, NULL) AS v FROM random.t__stg_w UNION ALL SELECT toUInt32(_row - 1), concat('!', code) FROM random.t__stg_w__rejects`,
  );
  expect(found).toHaveLength(cells.length);
  const byId = new Map(found.map(({ id, v }) => [id, v]));
  return samples.map((_, at) =>
    cells.flatMap((cell, id) => (cell.at === at ? [byId.get(id) ?? null] : [])),
  );
}

/** Numbers of a fixed sequence (mulberry32), so that a failure is the same next time. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Texts that look like numbers, most of them almost. */
function numbers(count: number): string[] {
  const random = randomFrom(7);
  const pick = (items: readonly string[]): string => items[random(items.length)] ?? "";
  const digits = (most: number): string =>
    Array.from({ length: random(most + 1) }, () => String(random(10))).join("");
  const zeros = (): string => "0".repeat(random(5));
  return Array.from({ length: count }, () => {
    const groups = Array.from(
      { length: random(3) },
      () => `${pick([",", ".", " ", ","])}${digits(3).padStart(random(8) === 0 ? 2 : 3, "0")}`,
    );
    const whole = `${digits(3)}${groups.join("")}`;
    const fraction =
      random(2) === 0 ? "" : `${pick([".", ","])}${random(2) === 0 ? zeros() : digits(4)}`;
    const power = random(5) === 0 ? `${pick(["e", "E"])}${pick(["", "+", "-"])}${digits(2)}` : "";
    const text = `${pick(["", "", "-", "+"])}${whole}${fraction}${power}`;
    return random(12) === 0 ? `${text}${pick([" ", "x", "-", "\n", ".", "٣"])}` : text;
  });
}

/** A number's sign, digits and power of ten, read by hand; undefined for what is written otherwise. */
function readNumber(
  text: string,
  { thousandsSeparator: group, decimalSeparator: point = "." }: Field,
):
  | { negative: boolean; whole: string; fraction: string | undefined; power: string | undefined }
  | undefined {
  let rest = text;
  const negative = rest.startsWith("-");
  if (negative || rest.startsWith("+")) rest = rest.slice(1);
  const [mantissa = "", power, ...more] = rest.split(/[eE]/);
  if (more.length > 0 || (power !== undefined && !/^[+-]?[0-9]+$/.test(power))) return undefined;
  const [left = "", fraction, ...others] = mantissa.split(point);
  if (others.length > 0 || (fraction !== undefined && /[^0-9]/.test(fraction))) return undefined;
  const groups = group === undefined ? [left] : left.split(group);
  if (groups.some((digits) => /[^0-9]/.test(digits))) return undefined;
  const [head = "", ...tail] = groups;
  if (tail.length > 0 && (head.length < 1 || head.length > 3)) return undefined;
  if (tail.some((digits) => digits.length !== 3)) return undefined;
  return { negative, whole: groups.join(""), fraction, power };
}

function expectedInteger(text: string, one: Field): string | null {
  if (text === "") return null;
  const read = readNumber(text, one);
  if (read === undefined || read.whole === "") return "!bad_value";
  const { negative, whole, fraction, power } = read;
  if (fraction !== undefined && !/^0+$/.test(fraction)) return "!bad_value";
  if (power?.startsWith("-")) return "!bad_value";
  const isSilent = one.thousandsSeparator === undefined && one.decimalSeparator === undefined;
  if (isSilent && power === undefined && fraction === "000") return "!bad_value";
  if (Number(power ?? 0) > 99) return "!out_of_range";
  const value = BigInt(whole) * 10n ** BigInt(power ?? 0) * (negative ? -1n : 1n);
  return BigInt.asIntN(64, value) === value ? String(value) : "!out_of_range";
}

function expectedDecimal(text: string, one: Field): string | null {
  if (text === "") return null;
  const read = readNumber(text, one);
  if (read === undefined || read.power !== undefined) return "!bad_value";
  const { negative, whole, fraction = "" } = read;
  if (whole === "" && fraction === "") return "!bad_value";
  const integers = whole.replace(/^0+/, "");
  const decimals = fraction.replace(/0+$/, "");
  if (integers.length > 4 || decimals.length > 2) return "!out_of_range";
  const value = `${integers === "" ? "0" : integers}${decimals === "" ? "" : `.${decimals}`}`;
  return negative && value !== "0" ? `-${value}` : value;
}

test("random texts of numbers become what a second reading says", async () => {
  const texts = numbers(1200);
  const options: readonly Partial<Field>[] = [
    {},
    { thousandsSeparator: "," },
    { thousandsSeparator: ".", decimalSeparator: "," },
    { thousandsSeparator: " " },
    { decimalSeparator: "," },
  ];
  const integers = options.map((more) => field("n", "integer", more));
  const decimals = options.map((more) =>
    field("n", { kind: "decimal", precision: 6, scale: 2 }, more),
  );
  const expected = [
    ...integers.map((one) => texts.map((text) => expectedInteger(text, one))),
    ...decimals.map((one) => texts.map((text) => expectedDecimal(text, one))),
  ];
  for (const values of expected) {
    expect(values.filter((value) => value?.startsWith("!") === false).length).toBeGreaterThan(100);
  }
  const got = await castAll([...integers, ...decimals].map((one) => ({ field: one, texts })));
  expect(got.map((values) => values.map((value, at) => [texts[at], value]))).toEqual(
    expected.map((values) => values.map((value, at) => [texts[at], value])),
  );
});

test("no bytes whatever fail a load: each value is taken or refused by itself", async () => {
  const random = randomFrom(11);
  const pieces = [
    "2024",
    "-",
    "0",
    "1",
    "e",
    "E",
    "9".repeat(40),
    ".",
    ",",
    ":",
    " ",
    "T",
    "+",
    "nan",
    "Feb",
    "PM",
    "\u0000",
    "\ud83d\ude00",
    "İ",
    "ß",
    "\u00a0",
  ];
  const texts: (string | Uint8Array)[] = ["1e400", "2300-01-01", "9".repeat(40)];
  for (let n = 0; n < 100; n++) {
    const bytes = Uint8Array.from({ length: random(12) }, () => random(256));
    const text = Array.from({ length: random(8) }, () => pieces[random(pieces.length)] ?? "");
    texts.push(random(3) === 0 ? bytes : text.join(""));
  }
  const fields = [
    ...(["boolean", "date", "datetime", "decimal", "float", "integer", "string"] as const).flatMap(
      (kind) => [
        field("x", kind),
        field("x", kind, { trim: true, emptyIsNull: true, nonFinite: "keep" }),
        field("x", kind, { thousandsSeparator: " ", decimalSeparator: ",", nonFinite: "null" }),
      ],
    ),
    field("x", "boolean", { trueWords: ["İ"], falseWords: ["ß"] }),
    field("x", "date", { format: "yy MMM d" }),
    field("x", "datetime", { timeZone: "Europe/Berlin" }),
    field("x", "datetime", { timeZone: "Pacific/Apia", format: "E, d MMM yyyy hh:mm:ss.SSS a z" }),
  ];
  const got = await castAll(fields.map((one) => ({ field: one, texts })));
  expect(new Set(got.flat().filter((value) => value?.startsWith("!")))).toEqual(
    new Set(["!bad_value", "!out_of_range"]),
  );
});

test("every documented date with every documented time is read", async () => {
  const dates = [
    "20240309",
    "2024-03-09",
    "2024/03/09",
    "03/09/2024",
    "03/09/24",
    "09-Mar-2024",
    "09-Mar-24",
    "09 Mar 2024",
    "09Mar2024",
  ];
  const times: readonly (readonly [string, string])[] = [
    ["101112+0200", "08:11:12.000000"],
    ["101112", "10:11:12.000000"],
    ["101112.123456000-0100", "11:11:12.123456"],
    ["101112.123456000", "10:11:12.123456"],
    ["10:11:12.123 PST", "18:11:12.123000"],
    ["10:11:12.123456000+0200", "08:11:12.123456"],
    ["10:11:12.123456000", "10:11:12.123456"],
    ["10:11:12+0200", "08:11:12.000000"],
    ["10:11:12", "10:11:12.000000"],
    ["10:11", "10:11:00.000000"],
    ["10", "10:00:00.000000"],
    ["03:11:12 PM", "15:11:12.000000"],
    ["03:11 PM", "15:11:00.000000"],
    ["03:11PM EST", "20:11:00.000000"],
  ];
  const both = dates.flatMap((date) => times.map(([time, value]) => [`${date} ${time}`, value]));
  const [days, moments] = await castAll([
    { field: field("d", "date"), texts: dates },
    { field: field("t", "datetime"), texts: both.map(([text = ""]) => text) },
  ]);
  expect(days).toEqual(dates.map(() => "2024-03-09"));
  expect(moments?.map((value, at) => [both[at]?.[0], value])).toEqual(
    both.map(([text, value]) => [text, `2024-03-09 ${value}`]),
  );
});

describe("local times become the moments that a second time zone database says", () => {
  const HOUR = 3_600_000;
  /** Milliseconds that the zone's clocks are ahead at a moment. */
  function offsetOf(zone: string): (moment: number) => number {
    const format = new Intl.DateTimeFormat("en", {
      timeZone: zone,
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    return (moment) => {
      const parts = Object.fromEntries(
        format.formatToParts(moment).map(({ type, value }) => [type, Number(value)]),
      );
      const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
      return Date.UTC(year, month - 1, day, hour, minute, second) - moment;
    };
  }

  const zones = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Caracas",
    "Asia/Kathmandu",
    "Europe/Dublin",
    // These passed over a whole day.
    "Pacific/Apia",
    "Pacific/Fakaofo",
    "Pacific/Kwajalein",
    "Pacific/Kiritimati",
    "Pacific/Kanton",
  ];

  /** Times around every change of the zone's clocks, of which many were never shown, or twice. */
  function wallsOf(offset: (moment: number) => number): number[] {
    const walls = new Set<number>([Date.UTC(2000, 0, 1), Date.UTC(2000, 6, 1, 12)]);
    const end = Date.UTC(2024, 11, 31);
    for (let from = Date.UTC(1972, 0, 1); from < end; from += 120 * HOUR) {
      if (offset(from) === offset(from + 120 * HOUR)) continue;
      for (let at = from; at < from + 120 * HOUR; at += 12 * HOUR) {
        if (offset(at) === offset(at + 12 * HOUR)) continue;
        for (let wall = at - 28 * HOUR; wall < at + 40 * HOUR; wall += HOUR / 2) walls.add(wall);
      }
    }
    const random = randomFrom(3);
    return [...walls].filter(() => random(walls.size) < 250);
  }

  function expectedMoment(wall: number, offset: (moment: number) => number): string {
    const offsets = new Set<number>();
    for (let at = -30; at <= 30; at += 2) offsets.add(offset(wall + at * HOUR));
    const moments = [...offsets].map((o) => wall - o).filter((t) => t + offset(t) === wall);
    if (moments.length === 0) return "!bad_value";
    return new Date(Math.min(...moments)).toISOString().replace("T", " ").replace("Z", "000");
  }

  test("around every change of a zone's clocks from 1972 to 2024", async () => {
    const offsets = zones.map(offsetOf);
    const walls = offsets.map(wallsOf);
    const expected = walls.map((times, at) =>
      times.map((wall) => expectedMoment(wall, offsets[at] ?? (() => 0))),
    );
    const texts = walls.map((times) =>
      times.map((wall) => new Date(wall).toISOString().slice(0, 19).replace("T", " ")),
    );
    const got = await castAll(
      zones.map((timeZone, at) => ({
        field: field("t", "datetime", { timeZone }),
        texts: texts[at] ?? [],
      })),
    );
    const named = (values: readonly (readonly (string | null)[])[]): unknown =>
      zones.map((zone, at) => [zone, texts[at]?.map((text, n) => [text, values[at]?.[n]])]);
    expect(named(got)).toEqual(named(expected));
  });
});
