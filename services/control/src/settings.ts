/** The variables of a process, by their names. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Unset and empty are the same. */
export function text(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === "" ? undefined : value;
}

/** A whole number within a range. */
export function whole(
  environment: Environment,
  name: string,
  range: { readonly fallback: number; readonly min: number; readonly max: number },
): number {
  const value = text(environment, name);
  if (value === undefined) {
    return range.fallback;
  }
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < range.min || number > range.max) {
    throw wrong(name, `a whole number from ${range.min} to ${range.max}`, value);
  }
  return number;
}

/** 0 or 1. */
export function flag(environment: Environment, name: string, fallback: boolean): boolean {
  const value = text(environment, name);
  if (value === undefined) {
    return fallback;
  }
  if (value !== "0" && value !== "1") {
    throw wrong(name, "0 or 1", value);
  }
  return value === "1";
}

/** An error of one line that names the variable. What was seen is told only where it is no secret. */
export function wrong(name: string, wanted: string, seen?: string): Error {
  return new Error(
    `${name}: expected ${wanted}${seen === undefined ? "" : `, got ${JSON.stringify(seen)}`}`,
  );
}
