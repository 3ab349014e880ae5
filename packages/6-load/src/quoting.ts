/** A name as a ClickHouse identifier, whatever its characters: backticks and backslashes are escaped. */
export function quoteIdentifier(name: string): string {
  return `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
}

/** A value as a ClickHouse string literal: quotes and backslashes are escaped. */
export function quoteText(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
