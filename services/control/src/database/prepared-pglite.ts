import {
  type messages as BackendMessages,
  Mutex,
  type PGlite,
  parse,
  protocol,
} from "@electric-sql/pglite";
import type { PGliteDialectConfig } from "kysely";

/** What kysely needs of a PGlite. */
type KyselyPGlite = Exclude<PGliteDialectConfig["pglite"], (...given: never[]) => unknown>;
type Query = KyselyPGlite["query"];
type BackendMessage = BackendMessages.BackendMessage;

interface Statement {
  readonly name: string;
  /** PostgreSQL's type of each parameter, by which it is written as text. */
  readonly types: readonly number[];
}

/** Statements that are kept; the one that was not used for longest goes first. */
const MAX_STATEMENTS = 500;
/** Longer ones are those of many rows, of which hardly two are equal. */
const MAX_TEXT_LENGTH = 8_000;
const MAX_PARAMETERS = 100;
/** A plan is made for tables as large as they are: after so many written rows plans are made anew. */
const MAX_WRITTEN_ROWS = 500;

const { serialize } = protocol;

/**
 * A PGlite that prepares each statement once. By itself it parses, plans and describes a statement for each use, in six
 * calls into its WebAssembly; prepared, one call does all: see docs/decisions/0024-what-a-run-costs.md.
 */
export function preparedPglite(pglite: PGlite): KyselyPGlite {
  const statements = new Map<string, Statement>();
  // PGlite has a single connection: whoever has a transaction has it for himself.
  const turns = new Mutex();
  let made = 0;
  let writtenRows = 0;

  const send = async (...parts: readonly Uint8Array[]): Promise<BackendMessage[]> =>
    await pglite.runExclusive(
      async () =>
        await pglite.execProtocolStream(Buffer.concat([...parts, serialize.sync()]), {
          syncToFs: false,
        }),
    );
  const forget = async (text: string, { name }: Statement): Promise<void> => {
    statements.delete(text);
    await send(serialize.close({ type: "S", name }));
  };

  async function prepare(text: string): Promise<Statement> {
    const known = statements.get(text);
    if (known !== undefined) {
      // The map's order is that of use.
      statements.delete(text);
      statements.set(text, known);
      return known;
    }
    const [oldest] = statements;
    if (statements.size >= MAX_STATEMENTS && oldest !== undefined) await forget(...oldest);
    made += 1;
    const name = `s${made}`;
    const described = await send(
      serialize.parse({ name, text }),
      serialize.describe({ type: "S", name }),
    );
    const statement = { name, types: parse.parseDescribeStatementResults(described) };
    statements.set(text, statement);
    return statement;
  }

  async function run<T>(text: string, parameters: readonly unknown[]): ReturnType<typeof query<T>> {
    const statement = await prepare(text);
    const { name, types } = statement;
    const values = parameters.map((value, at) => {
      if (value === null || value === undefined) return null;
      return pglite.serializers[types[at] ?? 0]?.(value) ?? String(value);
    });
    try {
      const answered = await send(
        serialize.bind({ statement: name, values }),
        serialize.describe({ type: "P" }),
        serialize.execute({}),
      );
      const [result] = parse.parseResults(answered, pglite.parsers, { rowMode: "object" });
      if (result === undefined) throw new Error("PGlite answered a statement with nothing");
      writtenRows += result.affectedRows ?? 0;
      if (writtenRows > MAX_WRITTEN_ROWS) {
        writtenRows = 0;
        await send(serialize.query("discard plans"));
      }
      return result as Awaited<ReturnType<typeof query<T>>>;
    } catch (error) {
      // A statement may be wrong for tables that were changed since it was prepared: the next use prepares it anew.
      await forget(text, statement);
      throw error;
    }
  }

  const isKept = (text: string, parameters: readonly unknown[]): boolean =>
    text.length <= MAX_TEXT_LENGTH && parameters.length <= MAX_PARAMETERS;
  const query: Query = async (text, parameters = [], options) =>
    await turns.runExclusive(
      async () =>
        await (isKept(text, parameters)
          ? run(text, parameters)
          : pglite.query(text, parameters, options as object)),
    );

  return {
    query,
    transaction: async (callback) =>
      await turns.runExclusive(
        async () =>
          await pglite.transaction(
            async (trx) =>
              await callback({
                rollback: async () => await trx.rollback(),
                query: async (text, parameters = [], options) =>
                  await (isKept(text, parameters)
                    ? run(text, parameters)
                    : trx.query(text, parameters, options as object)),
              }),
          ),
      ),
    close: async () => await turns.runExclusive(async () => await pglite.close()),
    get closed() {
      return pglite.closed;
    },
    get ready() {
      return pglite.ready;
    },
    waitReady: pglite.waitReady,
  };
}
