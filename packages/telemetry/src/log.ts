import { type DestinationStream, type Logger, pino } from "pino";

/** Longer texts are cut: a key or a value of a customer's file may have any length. */
const MOST_CHARACTERS = 2_000;
/** A stack trace is ours, and longer. */
const MOST_STACK_CHARACTERS = 8_000;
const MOST_ITEMS = 50;
const MOST_DEPTH = 6;
const MOST_CAUSES = 5;

/**
 * What JSON leaves as it is and a terminal, or a reader of lines, takes for more than text: DEL, the C1 controls (one
 * of them begins an ANSI sequence), line separators, and what turns the direction of writing.
 */
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The log of a service: one JSON object a line, on stderr, since stdout is for the line that tells a parent where the
 * service listens. Whatever a value holds, it stays inside of its string, and is cut.
 */
export function createLog(
  service: string,
  level: string,
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: { service },
      formatters: { log: (fields) => cutFields(fields, 0) },
      serializers: { err: (error: unknown) => error },
      hooks: {
        logMethod(inputs, method) {
          const cut = inputs.map((input) => (typeof input === "string" ? cutText(input) : input));
          // Without a message of its own an error's would be taken, whole.
          if (cut.length === 1 && typeof cut[0] !== "string") cut.push(cutText(messageOf(cut[0])));
          Reflect.apply(method, this, cut);
        },
        // Inside of JSON these can only stand in a string, where the escape means the same.
        streamWrite: (line) => line.replace(UNSAFE, escaped),
      },
    },
    destination,
  );
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function cutText(text: string, most: number = MOST_CHARACTERS): string {
  return text.length <= most
    ? text
    : `${text.slice(0, most).toWellFormed()} ... ${text.length - most} more`;
}

/** What pino takes for the message when there is none. */
function messageOf(fields: unknown): string {
  if (fields instanceof Error) return fields.message;
  if (typeof fields !== "object" || fields === null || !("err" in fields)) return "";
  return fields.err instanceof Error ? fields.err.message : "";
}

function cutFields(fields: object, depth: number): Record<string, unknown> {
  const cut: Record<string, unknown> = Object.create(null);
  let items = 0;
  for (const [name, value] of Object.entries(fields)) {
    if (++items > MOST_ITEMS) break;
    cut[cutText(name, 200)] = cutValue(value, depth + 1);
  }
  return cut;
}

function cutValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return cutText(value);
    case "bigint":
      return String(value);
    case "object":
      break;
    default:
      return value;
  }
  if (value === null || value instanceof Date) return value;
  if (value instanceof Error) return errorFields(value, 0);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth >= MOST_DEPTH) return "...";
  if (Array.isArray(value))
    return value.slice(0, MOST_ITEMS).map((item) => cutValue(item, depth + 1));
  return cutFields(value, depth);
}

/**
 * An error by what it says of itself, and its causes. Not by all that hangs on it: clients' errors carry requests,
 * answers and headers, with whatever secrets these have.
 */
function errorFields(error: Error, causes: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const facts: Record<string, unknown> = { type: name, message: cutText(message) };
  for (const fact of ["code", "stage"]) {
    const value: unknown = Reflect.get(error, fact);
    if (typeof value === "string" || typeof value === "number") facts[fact] = cutValue(value, 0);
  }
  if (stack !== undefined) facts.stack = cutText(stack, MOST_STACK_CHARACTERS);
  if (cause instanceof Error && causes < MOST_CAUSES) facts.cause = errorFields(cause, causes + 1);
  else if (typeof cause === "string") facts.cause = cutText(cause);
  return facts;
}
