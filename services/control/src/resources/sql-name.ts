/**
 * Why a text can't be the name of a ClickHouse database or table, and why a name is plain: people write
 * it in queries, and the tables beside a domain table are named after it.
 */
export function sqlNameFault(name: string): string | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
    return "a name has letters, digits and underscores, and begins with a letter";
  }
  return name.includes("__")
    ? "two underscores in a row are kept for the service's own tables"
    : undefined;
}

const RESERVED_DATABASES = ["system", "information_schema", "default", "sluice"];

/** Like {@link sqlNameFault}, for databases. */
export function databaseNameFault(name: string): string | undefined {
  return RESERVED_DATABASES.includes(name.toLowerCase())
    ? "ClickHouse or the service keeps this name for itself"
    : sqlNameFault(name);
}
