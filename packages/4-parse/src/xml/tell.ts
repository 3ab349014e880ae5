import { fitOf, type Name, NO_FIT } from "./names.ts";
import { TEXT_STEP, type Value } from "./node.ts";
import type { FieldSteps, Step } from "./paths.ts";
import { isList } from "./to-json.ts";

/** Bits of `Name.told`: the places where names are looked at. */
export const IN_RECORD = 1;
export const IN_ELEMENT = 2;
const MAX_TOLD = 100;

/** What records hold that the fields do not take, or take in doubt. */
interface Tell {
  readonly extra: ReadonlySet<string>;
  /** Names of which several fit one field. */
  readonly rivals: ReadonlySet<string>;
  look(value: Value, where: number): void;
}

/** Looks at the members of records and of the elements that become rows, at each name once. */
export function createTell(
  columns: readonly FieldSteps[],
  explodePath: string,
  explode: readonly Step[],
): Tell {
  const extra = new Set<string>();
  const rivals = new Set<string>();
  const depth = explode.length;
  const first = (shared: number): Step[] =>
    columns.flatMap((column) => (column.shared === shared ? column.steps.slice(0, 1) : []));
  const taken = new Map([
    [IN_RECORD, [...first(0), ...explode.slice(0, 1)]],
    [IN_ELEMENT, first(depth)],
  ]);
  const isWhole = columns.some((column) => column.shared === depth && column.steps.length === 0);
  /** The first name that fitted a step, by the place and the step's number. */
  const fitted = new Map<string, string>();

  const add = (names: Set<string>, text: string, where: number): void => {
    if (names.size < MAX_TOLD) names.add(where === IN_RECORD ? text : `${explodePath}.${text}`);
  };
  const lookAtName = (name: Name, where: number): void => {
    let isTaken = false;
    for (const step of taken.get(where) ?? []) {
      if (step.kind !== "member" || fitOf(name, step.number) === NO_FIT) continue;
      isTaken = true;
      const key = `${where} ${step.number}`;
      const known = fitted.get(key);
      if (known === undefined) fitted.set(key, name.text);
      else if (known !== name.text) {
        add(rivals, known, where);
        add(rivals, name.text, where);
      }
    }
    if (!isTaken) add(extra, name.text, where);
  };
  const lookAtText = (text: string, where: number): void => {
    if (text.trim() === "" || taken.get(where)?.some(({ kind }) => kind === "text")) return;
    add(extra, TEXT_STEP, where);
  };

  return {
    extra,
    rivals,
    look(value, where) {
      if (extra.size === MAX_TOLD || value === null || isList(value)) return;
      if (where === IN_ELEMENT && isWhole) return;
      if (typeof value === "string") {
        if (value !== "") lookAtText(value, where);
        return;
      }
      const { names, text } = value;
      if (text !== "") lookAtText(text, where);
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as Name;
        if ((name.told & where) !== 0) continue;
        name.told |= where;
        lookAtName(name, where);
      }
    },
  };
}
