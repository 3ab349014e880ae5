import type { FormatName, Row } from "./data.ts";
import type { Lane, OperationName } from "./lanes.ts";
import type { Random } from "./random.ts";
import type { Stack } from "./stack.ts";

/** What can be violated: docs/reliability.md says each in full. */
export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8" | "I9" | "I13";

/** A run that is about to begin. */
export interface Scene {
  readonly stack: Stack;
  readonly random: Random;
  readonly lane: Lane;
  /** Of the object that is there now. */
  readonly key: string;
  readonly file: Buffer;
  readonly rows: readonly Row[];
  /** The same kind of file, of as many rows, with other values. */
  readonly other: Buffer;
}

/** A fault that lies in wait. */
export interface Injected {
  /** How often it has happened. */
  fired(): number | Promise<number>;
  /** What the world does while the workflow runs; ends when `signal` aborts. */
  readonly during?: (workflowId: string, signal: AbortSignal) => Promise<void>;
  /** Makes the world as it was. */
  readonly lift?: () => Promise<void>;
}

export interface Fault {
  readonly id: string;
  readonly title: string;
  readonly formats?: readonly FormatName[];
  readonly operations?: readonly OperationName[];
  /** How a run ends under it. */
  readonly ends: "well" | "badly" | "either";
  /** Codes that a run may fail with, as in `fetch.object_changed`. */
  readonly codes?: readonly string[];
  /** For a negative control: a guard is off, and this has to be found. */
  readonly breaks?: Invariant;
  /** Why it cannot be played on this machine, or undefined. */
  readonly unavailable?: () => string | undefined;
  readonly inject: (scene: Scene) => Injected | Promise<Injected>;
}
