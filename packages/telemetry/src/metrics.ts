import { collectDefaultMetrics, Registry } from "prom-client";

export { Registry } from "prom-client";

/** A registry of its own for each service, with what prom-client tells of the process: CPU, memory, event loop, GC. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
