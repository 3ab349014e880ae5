/** Every error code this server answers with, and its HTTP status ("Amazon S3 API Reference", Error responses). */
const S3_ERROR_STATUS = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  ExpiredToken: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidDigest: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidToken: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchAccessPoint: 404,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NoSuchVersion: 404,
  NotImplemented: 501,
  NotModified: 304,
  PermanentRedirect: 301,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  RequestTimeout: 400,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  TooManyRequests: 429,
  XAmzContentSHA256Mismatch: 400,
} as const;

export type S3ErrorCode = keyof typeof S3_ERROR_STATUS;

export interface S3ErrorOptions {
  /** Extra elements of the XML body, such as `Region` or `BucketName`. */
  detail?: Readonly<Record<string, string>>;
  /** Extra response headers, such as `x-amz-bucket-region`. */
  headers?: Readonly<Record<string, string>>;
  /** Overrides the code's own status (a fault may pair any status with any code). */
  status?: number;
  cause?: unknown;
}

/** A refusal that reaches the client as S3's XML error document. */
export class S3Error extends Error {
  readonly code: string;
  readonly status: number;
  readonly detail: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: S3ErrorCode, message: string, options: S3ErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "S3Error";
    this.code = code;
    this.status = options.status ?? S3_ERROR_STATUS[code];
    this.detail = options.detail ?? {};
    this.headers = options.headers ?? {};
  }
}
