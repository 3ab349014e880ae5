import { type Code, codeFacts, type Retry, type Stage } from "./codes.ts";

/** One layer around the data: how it is packed, its name if it has one, and how far into it we were. */
export interface Layer {
  readonly kind: string;
  readonly name?: string;
  /** Bytes of this layer's input that were read when it failed. */
  readonly offset?: number;
}

/** Where in the customer's data something was seen. Rows count from 1 and leave header rows out. */
export interface Coordinate {
  readonly bucket?: string;
  readonly key?: string;
  readonly etag?: string;
  readonly versionId?: string;
  readonly layers?: readonly Layer[];
  readonly entry?: string;
  readonly row?: number;
  readonly column?: string;
  /** Bytes from the start of the innermost, decrypted and decompressed content. */
  readonly byteOffset?: number;
}

export interface StageErrorOptions extends Coordinate {
  /** The exception that led here. Kept for the engineer on call; never shown to the customer. */
  readonly cause?: unknown;
  /** What the bytes were, in words ("gzip", key ids, a column list). Never data of a row. */
  readonly seen?: string;
  /** What the settings wanted, in words. */
  readonly expected?: string;
  /** Other settings, by which the bytes would be opened. */
  readonly proposed?: readonly ProposedSetting[];
}

/**
 * A setting that would fit what was seen, in the words of @sluice/schema: a compression, an archive's kind, a format;
 * "none" takes the setting away. Or one of a format, which stands behind that format where both are proposed.
 */
export interface ProposedSetting {
  readonly setting:
    | "compression"
    | "archive"
    | "format"
    | "delimited.delimiter"
    | "delimited.encoding"
    | "json.shape"
    | "xml.rowElement";
  readonly value: string;
}

/** A StageError in plain data, for messages between threads and processes. */
export interface StageFailure {
  readonly stage: Stage;
  readonly code: string;
  readonly retry: Retry;
  readonly message: string;
  readonly coordinate: Coordinate;
  readonly seen?: string;
  readonly expected?: string;
  readonly proposed?: readonly ProposedSetting[];
}

/** Characters of a text that a failure carries: names in files can be as long as a limit allows, and are quoted. */
const MAX_TEXT = 16_384;
const MAX_COLUMN = 1_024;

/** The beginning of a text that is too long, without half a character at its end. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const isHalf = /[\ud800-\udbff]/.test(text[most - 1] ?? "");
  return `${text.slice(0, isHalf ? most - 1 : most)}\u2026`;
}

/**
 * What stopped a run: in which stage, by which of its codes, and where. The message is for the
 * person who configured the courier; it holds neither secrets nor row data.
 */
export class StageError<S extends Stage = Stage> extends Error {
  override readonly name: string = "StageError";
  readonly stage: S;
  readonly code: Code<S>;
  readonly retry: Retry;
  readonly rawMessage: string;
  readonly coordinate: Coordinate;
  readonly seen: string | undefined;
  readonly expected: string | undefined;
  readonly proposed: readonly ProposedSetting[];

  constructor(stage: S, code: Code<S>, message: string, options: StageErrorOptions = {}) {
    const { cause, seen, expected, proposed = [], ...coordinate } = options;
    super(`[${stage}/${code}] ${cut(message, MAX_TEXT)}`, { cause });
    this.stage = stage;
    this.code = code;
    this.retry = codeFacts(stage, code)?.retry ?? "never";
    this.rawMessage = cut(message, MAX_TEXT);
    const { column } = coordinate;
    this.coordinate =
      column === undefined ? coordinate : { ...coordinate, column: cut(column, MAX_COLUMN) };
    this.seen = seen === undefined ? undefined : cut(seen, MAX_TEXT);
    this.expected = expected === undefined ? undefined : cut(expected, MAX_TEXT);
    this.proposed = proposed;
  }

  /** The same error with more of its place filled in; what is known already stays. */
  at(place: Coordinate): StageError<S> {
    return new StageError(this.stage, this.code, this.rawMessage, {
      ...place,
      ...this.coordinate,
      cause: this.cause,
      proposed: this.proposed,
      ...(this.seen === undefined ? {} : { seen: this.seen }),
      ...(this.expected === undefined ? {} : { expected: this.expected }),
    });
  }

  /** Plain data: what may leave the process. The cause stays behind. */
  toFailure(): StageFailure {
    return {
      stage: this.stage,
      code: this.code,
      retry: this.retry,
      message: this.rawMessage,
      coordinate: this.coordinate,
      ...(this.proposed.length === 0 ? {} : { proposed: this.proposed }),
      ...(this.seen === undefined ? {} : { seen: this.seen }),
      ...(this.expected === undefined ? {} : { expected: this.expected }),
    };
  }
}
