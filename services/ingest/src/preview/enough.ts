/** Thrown to end a pipeline once the head of its object was seen: no failure of anybody. */
export const ENOUGH: Error = new Error("enough was read");
