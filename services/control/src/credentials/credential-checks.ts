import type { DescMessage } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { StageError } from "@sluice/errors";
import { type FieldFault, invalidRequest, toViolation } from "../server/field-violations.ts";
import { toStageFailure } from "../stage-failure.ts";
import { isRegion, judgeBucket, toOrigin } from "./aws-names.ts";
import { type CredentialKind, kindField } from "./credential-rows.ts";

/** A fault of a field, and the failure that a worker would report for it, where there is one. */
interface CredentialFault extends FieldFault {
  readonly failure?: StageError;
}

/** What the rules are checked with. */
export interface CredentialRules {
  /** The request that holds the credential in its field `credential`. */
  readonly request: DescMessage;
  readonly allowedEndpoints: ReadonlySet<string>;
  /** Names of the secrets that the credential has, or will have. */
  readonly secretNames: ReadonlySet<string>;
}

/**
 * Throws INVALID_ARGUMENT for everything about a credential's kind that is wrong before anybody is
 * asked, with a StageFailure for what workflows would call a failure of the connect stage.
 */
export function assertCredentialKind(kind: CredentialKind, rules: CredentialRules): void {
  const faults = faultsOf(kind, rules);
  if (faults.length > 0) {
    throw refusal(rules.request, faults);
  }
}

function faultsOf(kind: CredentialKind, rules: CredentialRules): CredentialFault[] {
  const base = `credential.${kindField(kind)}`;
  switch (kind.case) {
    case "iamRoleToRole":
      return placeFaults(base, kind.value, rules);
    case "accessKey":
      return [
        ...placeFaults(base, kind.value, rules),
        ...accessPointFaults(base, kind.value.bucket),
        ...missingSecret(`${base}.secret_access_key`, "secret_access_key", rules),
      ];
    case "pgp":
      return rules.secretNames.size > 0
        ? []
        : [
            {
              path: `${base}.private_key_block`,
              rule: "pgp.empty",
              message: "a private key block or a passphrase is required",
            },
          ];
    default:
      return [];
  }
}

function placeFaults(
  base: string,
  place: { readonly bucket: string; readonly region: string; readonly endpoint: string },
  rules: CredentialRules,
): CredentialFault[] {
  const faults: CredentialFault[] = [];
  const bucket = judgeBucket(place.bucket);
  if ("fault" in bucket) {
    faults.push({
      path: `${base}.bucket`,
      rule: "connect.invalid_bucket_name",
      message: bucket.fault,
      failure: new StageError("connect", "invalid_bucket_name", bucket.fault),
    });
  }
  if (place.region !== "" && !isRegion(place.region)) {
    const message = "a region is written like eu-central-1";
    faults.push({ path: `${base}.region`, rule: "region.format", message });
  }
  if (place.endpoint !== "") {
    const origin = toOrigin(place.endpoint);
    if (origin === undefined || !rules.allowedEndpoints.has(origin)) {
      const message = "this endpoint is not one that the operator allows";
      faults.push({
        path: `${base}.endpoint`,
        rule: "connect.endpoint_refused",
        message,
        failure: new StageError("connect", "endpoint_refused", message),
      });
    }
  }
  return faults;
}

/** An access point is opened by a role alone (CR-16). */
function accessPointFaults(base: string, text: string): CredentialFault[] {
  const bucket = judgeBucket(text);
  if (!("kind" in bucket) || bucket.kind === "bucket") {
    return [];
  }
  const message = "an access point needs a credential of kind iam_role_to_role";
  return [
    {
      path: `${base}.bucket`,
      rule: "connect.invalid_bucket_name",
      message,
      failure: new StageError("connect", "invalid_bucket_name", message),
    },
  ];
}

function missingSecret(path: string, name: string, rules: CredentialRules): CredentialFault[] {
  return rules.secretNames.has(name)
    ? []
    : [{ path, rule: "required", message: "value is required" }];
}

function refusal(request: DescMessage, faults: readonly CredentialFault[]): ConnectError {
  const error = invalidRequest(faults.map((fault) => toViolation(request, fault)));
  const failure = faults.find((fault) => fault.failure !== undefined)?.failure;
  if (failure !== undefined) {
    error.details.push({ desc: StageFailureSchema, value: toStageFailure(failure) });
  }
  return error;
}
