import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import type { CourierSchema } from "@sluice/api/control/v1/courier_pb";
import {
  type ImportLegacyCourierRequest,
  type LegacyFinding,
  LegacyFinding_Severity,
} from "@sluice/api/control/v1/legacy_import_pb";
import { readEntities } from "./entities.ts";
import { parseDocument } from "./legacy-document.ts";
import { readLoadOperations } from "./load-operations.ts";
import { createReport } from "./report.ts";

/** What a legacy configuration becomes. */
export interface LegacyImport {
  /** Undefined when there are errors. */
  readonly courier: Exclude<MessageInitShape<typeof CourierSchema>, Message> | undefined;
  readonly findings: readonly LegacyFinding[];
}

/** Reads a legacy configuration, and says of everything in it what becomes of it. Pure. */
export function importLegacy(
  request: Omit<ImportLegacyCourierRequest, "$typeName" | "$unknown">,
  /** The bucket that the credential opens. */
  credentialBucket: string,
): LegacyImport {
  const { entitiesJson, loadOperationsJson, name, credentialId, prefix, bucket } = request;
  const report = createReport({
    entities_json: entitiesJson,
    load_operations_json: loadOperationsJson,
  });
  if (bucket !== "" && bucket !== credentialBucket) {
    const place = { document: "bucket", pointer: "", offset: 0 };
    const message = `the credential opens ${credentialBucket}, not ${bucket}`;
    report.error(place, "bucket_differs", message, "name the credential of that bucket");
  }
  const root = parseDocument("entities_json", entitiesJson, report);
  const entities =
    root === undefined
      ? { files: [], byTag: new Map() }
      : readEntities(root, request.pgpCredentialId, report);
  const operations =
    loadOperationsJson.trim() === ""
      ? undefined
      : parseDocument("load_operations_json", loadOperationsJson, report);
  const loads =
    operations === undefined || root === undefined
      ? []
      : readLoadOperations(operations, {
          entities,
          feedIds: request.feedIds,
          queries: request.ingestQueries,
          report,
        });
  const findings = report.findings();
  const hasErrors = findings.some(({ severity }) => severity === LegacyFinding_Severity.ERROR);
  const courier = { name, credentialId, prefix, files: entities.files, loads };
  return { courier: hasErrors ? undefined : courier, findings };
}
