/** Where a command reads and writes: the process's own streams, or a test's. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a person looks at what is written: then a progress bar moves. */
  readonly isInteractive: boolean;
  /** Columns of the window; undefined where there is none. */
  readonly columns: number | undefined;
  /** Results. */
  out(text: string): void;
  /** Everything else: errors, progress. */
  err(text: string): void;
  /** All of standard input. */
  readInput(): Promise<Buffer>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}
