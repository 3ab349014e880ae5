import type { PatternPart } from "./file-pattern.ts";
import type { PatternEdit } from "./near-misses.ts";

/** A pattern with one thing changed. */
export interface Variant {
  readonly edit: PatternEdit;
  readonly parts: readonly PatternPart[];
  /** What makes texts count as equal. */
  readonly fold?: (text: string) => string;
  /** The parts to propose, from what each part of the variant stands for in a key. */
  readonly toParts?: (texts: readonly string[]) => readonly PatternPart[];
}

const WILDCARD: PatternPart = { kind: "wildcard" };
const DATE_KINDS = ["year", "month", "day"] as const;
type DateKind = (typeof DATE_KINDS)[number];

const DATE_ORDERS: readonly (readonly DateKind[])[] = [
  ["year", "month", "day"],
  ["day", "month", "year"],
  ["month", "day", "year"],
  ["year", "day", "month"],
];
const DATE_SEPARATORS = ["-", "", "_", ".", "/", " "];

/** Every way to change one thing of a pattern. */
export function variantsOf(parts: readonly PatternPart[]): Variant[] {
  return [
    { edit: "other_case", parts, fold: (text) => text.toLowerCase(), toParts: spelledAs(parts) },
    {
      edit: "other_separator",
      parts,
      fold: (text) => text.replace(/[-_. ]/g, "-"),
      toParts: spelledAs(parts),
    },
    ...otherDates(parts),
    ...otherExtensions(parts),
    ...moreText(parts),
    ...otherFolders(parts),
  ];
}

function literal(text: string): PatternPart[] {
  return text === "" ? [] : [{ kind: "literal", text }];
}

/** Literals joined, wildcards too: as a parsed pattern has them. */
function joined(parts: readonly PatternPart[]): PatternPart[] {
  const whole: PatternPart[] = [];
  for (const part of parts) {
    const last = whole.at(-1);
    if (part.kind === "literal" && last?.kind === "literal") {
      whole[whole.length - 1] = { kind: "literal", text: last.text + part.text };
    } else if (part.kind !== "wildcard" || last?.kind !== "wildcard") {
      whole.push(part);
    }
  }
  return whole;
}

/** The same parts with the literals as a key spells them. */
function spelledAs(
  parts: readonly PatternPart[],
): (texts: readonly string[]) => readonly PatternPart[] {
  return (texts) =>
    parts.map((part, index) =>
      part.kind === "literal" ? { kind: "literal", text: texts[index] ?? part.text } : part,
    );
}

/** Other orders of year, month and day, and other characters between them. */
function otherDates(parts: readonly PatternPart[]): Variant[] {
  const isDate = (part: PatternPart | undefined): boolean =>
    part !== undefined && part.kind !== "literal" && part.kind !== "wildcard";
  const from = parts.findIndex(isDate);
  if (from < 0) return [];
  let to = from;
  for (let at = from + 1; at < parts.length; at++) {
    const part = parts[at];
    if (isDate(part)) to = at;
    else if (part?.kind !== "literal" || part.text.length > 1) break;
  }
  const before = parts.slice(0, from);
  const after = parts.slice(to + 1);
  return DATE_ORDERS.flatMap((order) =>
    DATE_SEPARATORS.map((separator): Variant => {
      const date = order.flatMap((kind, index): PatternPart[] =>
        index === 0 ? [{ kind }] : [...literal(separator), { kind }],
      );
      return { edit: "other_date", parts: joined([...before, ...date, ...after]) };
    }),
  );
}

/** Another ending after the first dot of the last literal, or one where there is none. */
function otherExtensions(parts: readonly PatternPart[]): Variant[] {
  const last = parts.at(-1);
  const text = last?.kind === "literal" ? last.text : "";
  if (text.endsWith("/")) return [];
  const folder = text.lastIndexOf("/") + 1;
  const dot = text.indexOf(".", folder);
  const stem = dot < 0 ? text : text.slice(0, dot);
  const before = last?.kind === "literal" ? parts.slice(0, -1) : parts;
  const withDot = joined([...before, ...literal(`${stem}.`), WILDCARD]);
  const other: Variant = {
    edit: "other_extension",
    parts: withDot,
    toParts: (texts) => joined([...before, ...literal(`${stem}.${texts.at(-1) ?? ""}`)]),
  };
  const none = joined([...before, ...literal(stem)]);
  return dot < 0 || none.length === 0 ? [other] : [other, { edit: "other_extension", parts: none }];
}

/** Any text at one more place of the name: at its beginning, before its ending, around dates. */
function moreText(parts: readonly PatternPart[]): Variant[] {
  const pieces = parts.flatMap((part): PatternPart[] => {
    if (part.kind !== "literal") return [part];
    const folder = part.text.lastIndexOf("/") + 1;
    const dot = part.text.indexOf(".", folder);
    const name = dot < 0 ? part.text.length : dot;
    return [
      ...literal(part.text.slice(0, folder)),
      ...literal(part.text.slice(folder, name)),
      ...literal(part.text.slice(name)),
    ];
  });
  const lastFolder = pieces.findLastIndex(
    (part) => part.kind === "literal" && part.text.includes("/"),
  );
  const variants: Variant[] = [];
  for (let at = lastFolder + 1; at <= pieces.length; at++) {
    const changed = joined([...pieces.slice(0, at), WILDCARD, ...pieces.slice(at)]);
    if (changed.length !== joined(pieces).length || at === 0) {
      variants.push({ edit: "more_text", parts: changed });
    }
  }
  return variants;
}

/** A folder more at any place, or one of the folders less. */
function otherFolders(parts: readonly PatternPart[]): Variant[] {
  const segments: PatternPart[][] = [[]];
  for (const part of parts) {
    if (part.kind !== "literal") {
      segments.at(-1)?.push(part);
      continue;
    }
    for (const [index, text] of part.text.split("/").entries()) {
      if (index > 0) segments.push([]);
      segments.at(-1)?.push(...literal(text));
    }
  }
  const toPath = (of: readonly (readonly PatternPart[])[]): PatternPart[] =>
    joined(of.flatMap((segment, index) => (index === 0 ? segment : [...literal("/"), ...segment])));
  const more = segments.map(
    (_, at): Variant => ({
      edit: "more_folder",
      parts: toPath([...segments.slice(0, at), [WILDCARD], ...segments.slice(at)]),
    }),
  );
  const fewer = segments.slice(0, -1).map(
    (_, at): Variant => ({
      edit: "fewer_folders",
      parts: toPath([...segments.slice(0, at), ...segments.slice(at + 1)]),
    }),
  );
  return [...more, ...fewer];
}
