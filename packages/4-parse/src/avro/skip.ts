import {
  assertWithin,
  enter,
  type Part,
  readIndex,
  readLength,
  readLong,
  readPart,
} from "./cursor.ts";
import type { Decoder, Step } from "./decoder.ts";
import type { SchemaNode } from "./schema.ts";

/** Makes steps that pass over values, one for each type of a schema. */
export type CompileSkip = (node: SchemaNode) => Step;

export function createCompileSkip(decoder: Decoder): CompileSkip {
  const { cursor, limits } = decoder;
  const steps = new Map<SchemaNode, Step>();

  const compileSkip: CompileSkip = (node) => {
    const known = steps.get(node);
    if (known !== undefined) return known;
    // A recursive type calls itself by this step before its own is made.
    let step: Step | undefined;
    steps.set(node, () => step?.());
    step = compile(node);
    steps.set(node, step);
    return step;
  };

  const compile = (node: SchemaNode): Step => {
    const size = fixedSize(node);
    if (size !== undefined) return size === 0 ? () => {} : skipBytes(size);
    switch (node.kind) {
      case "int":
      case "long":
      case "enum":
        return () => {
          readLong(cursor);
        };
      case "string":
      case "bytes":
        return skipText;
      case "union": {
        const branches = node.branches.map(compileSkip);
        return () => {
          branches[readIndex(cursor, branches.length, "union branch")]?.();
        };
      }
      case "record": {
        const sequence = joinSteps(
          decoder,
          node.fields.map((field) => field.node),
          (field) => compileSkip(field),
        );
        return () => {
          enter(cursor, limits);
          sequence();
          assertWithin(cursor);
          cursor.depth--;
        };
      }
      case "array":
        return skipParts(compileSkip(node.items), isEmpty(node.items));
      case "map": {
        const value = compileSkip(node.items);
        const item = (): void => {
          skipText();
          value();
        };
        return skipParts(item, false);
      }
      default:
        throw new Error(`no way to skip ${node.kind}`);
    }
  };

  const skipText = (): void => {
    // In two statements: the sum would take the position from before the length.
    const length = readLength(cursor);
    cursor.at += length;
  };

  const skipBytes = (size: number): Step => {
    return () => {
      cursor.at += size;
    };
  };

  const skipParts = (item: Step, areEmpty: boolean): Step => {
    return () => {
      enter(cursor, limits);
      const part: Part = { count: 0, partEnd: -1 };
      for (;;) {
        readPart(cursor, part, areEmpty, limits);
        if (part.count === 0) break;
        if (part.partEnd >= 0) {
          cursor.at = part.partEnd;
        } else if (!areEmpty) {
          for (let left = part.count; left > 0; left--) {
            item();
            assertWithin(cursor);
          }
        }
      }
      cursor.depth--;
    };
  };

  return compileSkip;
}

/** One step for values that follow one another; neighbours of a known size that are passed over become one. */
export function joinSteps(
  { cursor }: Decoder,
  nodes: readonly SchemaNode[],
  toStep: (node: SchemaNode, index: number) => Step,
  isSkipped: (index: number) => boolean = () => true,
): Step {
  const steps: Step[] = [];
  let pending = 0;
  const flush = (): void => {
    const size = pending;
    pending = 0;
    if (size === 0) return;
    steps.push(() => {
      cursor.at += size;
    });
  };
  for (const [index, node] of nodes.entries()) {
    const size = isSkipped(index) ? fixedSize(node) : undefined;
    if (size !== undefined) {
      pending += size;
      continue;
    }
    flush();
    steps.push(toStep(node, index));
  }
  flush();
  return chain(steps);
}

const nothing: Step = () => {};

/** Calls written out one by one can be inlined; those of a loop never are. */
function chain(steps: readonly Step[]): Step {
  const [a = nothing, b = nothing, c = nothing, d = nothing, ...rest] = steps;
  if (steps.length <= 1) return a;
  const [e = nothing, f = nothing, g = nothing, h = nothing] = rest;
  if (steps.length <= 8) {
    return () => {
      a();
      b();
      c();
      d();
      e();
      f();
      g();
      h();
    };
  }
  const parts: Step[] = [];
  for (let i = 0; i < steps.length; i += 8) parts.push(chain(steps.slice(i, i + 8)));
  return () => {
    for (let i = 0; i < parts.length; i++) parts[i]?.();
  };
}

const sizes = new WeakMap<SchemaNode, { readonly size: number | undefined }>();

/** Bytes of every value of a type; undefined when they differ, and for a record that holds itself. */
function fixedSize(node: SchemaNode): number | undefined {
  switch (node.kind) {
    case "null":
      return 0;
    case "boolean":
      return 1;
    case "float":
      return 4;
    case "double":
      return 8;
    case "fixed":
      return node.size;
    case "record": {
      const known = sizes.get(node);
      if (known !== undefined) return known.size;
      sizes.set(node, { size: undefined });
      let size: number | undefined = 0;
      for (const field of node.fields) {
        const part = fixedSize(field.node);
        size = part === undefined || size === undefined ? undefined : size + part;
      }
      sizes.set(node, { size });
      return size;
    }
    default:
      return undefined;
  }
}

/** Whether a value of the type takes no bytes at all. */
export function isEmpty(node: SchemaNode): boolean {
  return fixedSize(node) === 0;
}
