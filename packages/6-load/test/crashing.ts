import type { Warehouse } from "../src/index.ts";

/** Stops being able to speak to the server before the statement that a pattern names; or right after it. */
export function crashing(warehouse: Warehouse, at: RegExp, when: "before" | "after"): Warehouse {
  let dead = false;
  const guard = async <T>(statement: string, run: () => Promise<T>): Promise<T> => {
    if (dead) throw new Error("crashed");
    const hit = at.test(statement);
    if (hit && when === "before") {
      dead = true;
      throw new Error("crashed");
    }
    const result = await run();
    if (hit) {
      dead = true;
      throw new Error("crashed");
    }
    return result;
  };
  return {
    ...warehouse,
    query: async <Row>(statement: string, parameters?: Record<string, unknown>) =>
      await guard(statement, async () => await warehouse.query<Row>(statement, parameters)),
    execute: async (statement) =>
      await guard(statement, async () => await warehouse.execute(statement)),
    copyRows: async (statement) =>
      await guard(statement, async () => await warehouse.copyRows(statement)),
    executeOnce: async (statement) =>
      await guard(statement, async () => await warehouse.executeOnce(statement)),
    queryLong: async <Row>(
      statement: string,
      parameters?: Record<string, unknown>,
      signal?: AbortSignal,
    ) =>
      await guard(
        statement,
        async () => await warehouse.queryLong<Row>(statement, parameters, signal),
      ),
    executeLong: async (statement, signal) =>
      await guard(statement, async () => await warehouse.executeLong(statement, signal)),
  };
}
