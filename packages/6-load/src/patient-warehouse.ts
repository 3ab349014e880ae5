import type { Warehouse } from "./warehouse.ts";

/**
 * The same warehouse for work that takes the longer the larger a table is, and which no clock may end: its SELECTs, its
 * copies, and the statements that must not be carried out twice are long ones. The signal, that of the lease, ends them.
 * `execute` stays as it is: what it does is short, and it clears up when the signal has come.
 */
export function patientWarehouse(warehouse: Warehouse, signal: AbortSignal): Warehouse {
  const { retrying, queryLong, executeLong } = warehouse;
  return {
    ...warehouse,
    query: async <Row>(statement: string, parameters?: Record<string, unknown>) =>
      await retrying(signal, () => queryLong<Row>(statement, parameters, signal)),
    copyRows: (statement) => retrying(signal, () => executeLong(statement, signal)),
    executeOnce: (statement) => executeLong(statement, signal),
  };
}
