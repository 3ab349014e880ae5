/**
 * Where a value stands in a record of a format with nested values: names of object members (XML: child
 * elements, `@name` for attributes, `#text` for an element's own text beside them), and indexes of arrays
 * from 0. Names match without regard to case, an exact one first.
 */
export type FieldPath = readonly (string | number)[];

const STEP = /(?:^|\.)(?:"((?:[^"\\]|\\.)*)"|([^.[\]"]+))|\[(\d+)\]/y;

/**
 * Reads a path such as `customer.address.city`, `items[0].sku` or `"a.b".c`: a name with a dot, a bracket or a
 * quote in it stands in double quotes, as a JSON string. Throws a SyntaxError that says where.
 */
export function parseFieldPath(text: string): FieldPath {
  const path: (string | number)[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const at = STEP.lastIndex;
    const step = STEP.exec(text);
    if (step === null) throw new SyntaxError(`not a path from its character ${at + 1} on`);
    const [, quoted, name, index] = step;
    if (index !== undefined) path.push(Number(index));
    else if (name !== undefined) path.push(name);
    else path.push(unquote(quoted ?? "", at));
  }
  if (path.length === 0) throw new SyntaxError("a path names at least one step");
  return path;
}

function unquote(quoted: string, at: number): string {
  try {
    return JSON.parse(`"${quoted}"`);
  } catch (cause) {
    throw new SyntaxError(`not a JSON string from character ${at + 1} on`, { cause });
  }
}
