/**
 * How one field is cast, as SQL over the column `raw`. All parts are total: whatever the data holds, no
 * row makes the statement fail.
 */
export interface FieldCast {
  /** Expressions that the others use by name, so that each is written and computed once. */
  readonly shared: readonly { readonly name: string; readonly sql: string }[];
  /** The same, for `outOfRange` alone. */
  readonly sharedReasons?: readonly { readonly name: string; readonly sql: string }[];
  /** The typed value, Nullable; null where the raw value is null, empty or refused. */
  readonly value: string;
  /**
   * A short form of `value`: null, or the same. It takes what values look like in most files, and leaves the others to
   * `value`; absent where there is no shorter form.
   */
  readonly usual?: string;
  /** 1 where the raw value counts as present, so that a null value means refused. Uses the raw column alone. */
  readonly present: string;
  /** 1 where a refused value has the field's form but does not fit; asked of refused values alone. */
  readonly outOfRange: string;
  /** What was expected, in words, for the reject's message. */
  readonly expectation: string;
}
