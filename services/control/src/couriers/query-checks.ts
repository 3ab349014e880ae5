import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import type { ControlContext } from "../context.ts";
import { type FieldFault, invalidRequest, toViolation } from "../server/field-violations.ts";

/** Nobody should wait long to save a courier: its queries are judged again when they run. */
const CHECK_TIMEOUT_MS = 5_000;

/**
 * Throws INVALID_ARGUMENT for ingest queries of the request's `courier` that ClickHouse cannot read, or that want more
 * than their files. A worker that is not there keeps nobody from saving.
 */
export async function assertQueries(
  context: ControlContext,
  request: DescMessage,
  { loads }: Pick<Courier, "loads">,
): Promise<void> {
  const faults: FieldFault[] = [];
  for (const [index, { ingestQuery: query }] of loads.entries()) {
    if (query === undefined) continue;
    try {
      const { problems } = await context.inspect.call((client, options) =>
        client.checkIngestQuery({ query }, { ...options, timeoutMs: CHECK_TIMEOUT_MS }),
      );
      faults.push(
        ...problems.map(({ message, line, column }) => ({
          path: `courier.loads[${index}].ingest_query.sql`,
          rule: "ingest_query.sql",
          message: line === 0 ? message : `line ${line}, column ${column}: ${message}`,
        })),
      );
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
      context.log.info({ err: error }, "an ingest query is judged when it runs");
    }
  }
  if (faults.length > 0) {
    throw invalidRequest(faults.map((fault) => toViolation(request, fault)));
  }
}
