import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import { CreateCourierRequestSchema } from "@sluice/api/control/v1/courier_service_pb";
import {
  type ImportLegacyCourierRequest,
  type ImportLegacyCourierResponseSchema,
  LegacyFinding_Severity,
  type LegacyFindings,
  LegacyFindingsSchema,
} from "@sluice/api/control/v1/legacy_import_pb";
import type { ControlContext } from "../context.ts";
import { connectionOf } from "../credentials/credential-access.ts";
import { invalidRequest, violationsBelow } from "../server/field-violations.ts";
import { assertCourier } from "./courier-checks.ts";
import { importLegacy } from "./legacy/import-legacy.ts";

/** Errors that the message names; all of them stand in the details. */
const NAMED_ERRORS = 3;

/**
 * Makes a courier of a legacy configuration. INVALID_ARGUMENT when the linter finds errors, all of its findings being
 * the detail; with validate_only they are the answer instead, and nothing is made.
 */
export async function importLegacyCourier(
  context: ControlContext,
  request: ImportLegacyCourierRequest,
  make: (courier: Courier, requestId: string) => Promise<Courier>,
): Promise<MessageInitShape<typeof ImportLegacyCourierResponseSchema>> {
  const connection = await connectionOf(context, request.credentialId);
  const { courier: init, findings } = importLegacy(request, connection.bucket);
  const report = create(LegacyFindingsSchema, { findings: [...findings] });
  if (init === undefined) {
    if (request.validateOnly) return { report };
    throw refusal(report);
  }
  const courier = create(CourierSchema, init);
  const violations = violationsBelow(CreateCourierRequestSchema, "courier", CourierSchema, courier);
  if (violations.length > 0) throw invalidRequest(violations);
  await assertCourier(CreateCourierRequestSchema, courier, context.kysely, context.tenant());
  if (request.validateOnly) return { courier, report };
  return { courier: await make(courier, request.requestId), report };
}

function refusal(report: LegacyFindings): ConnectError {
  const errors = report.findings.filter(
    ({ severity }) => severity === LegacyFinding_Severity.ERROR,
  );
  const named = errors
    .slice(0, NAMED_ERRORS)
    .map(({ document, pointer, line, column, message }) =>
      line === 0
        ? `${document}: ${message}`
        : `${document} ${pointer} (line ${line}, character ${column}): ${message}`,
    );
  const more = errors.length > named.length ? `; and ${errors.length - named.length} more` : "";
  const details = [{ desc: LegacyFindingsSchema, value: report }];
  return new ConnectError(named.join("; ") + more, Code.InvalidArgument, undefined, details);
}
