/** A ClickHouse user and where it asks. */
export interface ClickHouseUser {
  readonly url: string;
  readonly name: string;
  readonly password: string;
}

/** Asks ClickHouse's HTTP interface directly: the demo's own look behind the product. */
export async function ask(
  user: ClickHouseUser,
  query: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const address = new URL(user.url);
  for (const [name, value] of Object.entries(parameters)) {
    address.searchParams.set(name, value);
  }
  const response = await fetch(address, {
    method: "POST",
    body: query,
    headers: { "X-ClickHouse-User": user.name, "X-ClickHouse-Key": user.password },
  });
  if (!response.ok) throw new Error(`ClickHouse answered: ${await response.text()}`);
  return response;
}

/** The first row of the answer. */
export async function askRow<T>(user: ClickHouseUser, query: string): Promise<T> {
  const response = await ask(user, `${query} FORMAT JSONEachRow`, {
    output_format_json_quote_64bit_integers: "0",
  });
  const [line = "{}"] = (await response.text()).split("\n");
  return JSON.parse(line);
}
