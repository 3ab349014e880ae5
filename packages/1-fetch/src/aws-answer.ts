/** What an error of the SDK says, without its text: code, status and region are not secret. */
export interface AwsAnswer {
  /** The service's own code (`NoSuchKey`), the SDK's (`TimeoutError`) or Node's (`ECONNRESET`). */
  readonly code: string;
  /** HTTP status; undefined when no answer came. */
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  /** The region that the answer names, if it does. */
  readonly region: string | undefined;
  /** The answer to a HEAD has no body, so its code is only the status again. */
  readonly isBodiless: boolean;
  /** `x-amz-delete-marker: true`. */
  readonly isDeleteMarker: boolean;
}

/** Reads the facts off anything that was thrown while a request was made or its body read. */
export function toAwsAnswer(error: unknown): AwsAnswer {
  const status = at(at(error, "$metadata"), "httpStatusCode");
  const headers = at(at(error, "$response"), "headers");
  const name = text(at(error, "name"));
  const code = text(at(error, "Code")) ?? (name === "Error" ? undefined : name);
  const nodeCode = text(at(error, "code"));
  const requestId = text(at(at(error, "$metadata"), "requestId"));
  return {
    code: (status === undefined ? (nodeCode ?? code) : code) ?? "Unknown",
    status: typeof status === "number" ? status : undefined,
    requestId: requestId ?? text(at(headers, "x-amz-request-id")),
    region: text(at(headers, "x-amz-bucket-region")) ?? text(at(error, "Region")),
    isBodiless:
      status !== undefined && (code === undefined || BODILESS.has(code) || /^\d+$/.test(code)),
    isDeleteMarker: text(at(headers, "x-amz-delete-marker")) === "true",
  };
}

// What the SDK makes up when a body holds no code.
const BODILESS: ReadonlySet<string> = new Set([
  "NotFound",
  "Unknown",
  "UnknownError",
  "BadRequest",
  "Forbidden",
]);

function at(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
