/** The errors of whoever opens bzip2, for what may be wrong with it. Messages hold no data. */
export interface Bzip2Faults {
  corrupt(message: string): Error;
  /** A checksum does not match. */
  mismatch(message: string): Error;
  /** The bytes end; `where` completes "... ends". */
  truncated(where: string): Error;
  unsupported(message: string, seen: string, expected: string): Error;
}
