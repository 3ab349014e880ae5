/** A name that members of records have: `item`, `ns:item`, or `@id` for an attribute. */
export interface Name {
  readonly text: string;
  /** The name as a JSON key, colon included. */
  readonly key: string;
  /** Numbers of the steps that it fits, and after each how well: 0 is best. Few, as a rule one or none. */
  readonly fits: readonly number[];
  /** Where it was looked at as a member that perhaps no field takes: a bit for each kind of place. */
  told: number;
  /** The name that was asked for after this one last: it is likely to be so again. */
  next: Name | undefined;
}

/** Worse than any fit. */
export const NO_FIT = 4;

/** How well a name fits a step: 0 to 3, or NO_FIT. */
export function fitOf({ fits }: Name, step: number): number {
  for (let i = 0; i < fits.length; i += 2) if (fits[i] === step) return fits[i + 1] ?? NO_FIT;
  return NO_FIT;
}

/** The names of one document's records, and the steps that the wanted paths take. */
export interface Names {
  /** The number of a step by a member's name. Asked before the first name is seen. */
  step(text: string): number;
  element(text: string): Name;
  attribute(text: string): Name;
  /** Called between records: forgets the names when they are too many, so that memory stays flat. */
  trim(): void;
}

/** A hostile document has ever new names; honest ones have far fewer than this. */
const MAX_NAMES = 4096;

/**
 * A step fits a name, best first: spelled exactly; exactly without the name's prefix; without regard to case;
 * so, without the prefix. A step that has a prefix itself fits only names with that very prefix: prefixes are
 * compared as they are written, not by the namespace they stand for.
 */
export function createNames(): Names {
  const numbers = new Map<string, number>();
  const byFold = new Map<string, string[]>();
  const elements = new Map<string, Name>();
  const attributes = new Map<string, Name>();

  const toName = (text: string, local: string): Name => {
    const best = new Map<number, number>();
    const fit = (wanted: string, worth: number): void => {
      const number = numbers.get(wanted) ?? 0;
      best.set(number, Math.min(best.get(number) ?? NO_FIT, worth));
    };
    for (const wanted of byFold.get(fold(text)) ?? []) fit(wanted, wanted === text ? 0 : 2);
    for (const wanted of byFold.get(fold(local)) ?? []) fit(wanted, wanted === local ? 1 : 3);
    return {
      text,
      key: `${JSON.stringify(text)}:`,
      fits: [...best].flat(),
      told: 0,
      next: undefined,
    };
  };
  const intern = (known: Map<string, Name>, mark: string, text: string): Name => {
    const name = known.get(text);
    if (name !== undefined) return name;
    // A copy: a name cut out of a chunk would keep the whole chunk.
    const own = Buffer.from(text).toString();
    const made = toName(mark + own, mark + own.slice(own.indexOf(":") + 1));
    known.set(own, made);
    return made;
  };

  let last: Name | undefined;
  const element = (text: string): Name => {
    const likely = last?.next;
    if (likely !== undefined && likely.text === text) {
      last = likely;
      return likely;
    }
    const name = intern(elements, "", text);
    if (last !== undefined) last.next = name;
    last = name;
    return name;
  };

  return {
    step(text) {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      const number = numbers.size;
      numbers.set(text, number);
      const alike = byFold.get(fold(text));
      if (alike === undefined) byFold.set(fold(text), [text]);
      else alike.push(text);
      return number;
    },
    element,
    attribute: (text) => intern(attributes, "@", text),
    trim() {
      if (elements.size + attributes.size <= MAX_NAMES) return;
      elements.clear();
      attributes.clear();
      last = undefined;
    },
  };
}

/** What names are compared by when none is spelled exactly. */
export function fold(text: string): string {
  return text.toLowerCase();
}
