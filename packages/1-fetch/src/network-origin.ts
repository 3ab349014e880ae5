import { GetBucketLocationCommand, type S3Client } from "@aws-sdk/client-s3";
import { StageError } from "@sluice/errors";
import type { BucketReference } from "./bucket-name.ts";
import type { Store } from "./store.ts";

/** The SDK's next step on an answer's way in, as far as it matters here. */
type NextHandler = (
  args: unknown,
) => Promise<{ readonly response: { readonly statusCode: number; body: unknown } }>;

/** What an alias is made of: the access point's name, 34 characters of S3's own, and the suffix. */
const ALIAS = /^([a-z0-9-]+)-[a-z0-9]{34}-s3alias$/;
const ANSWER_LIMIT_BYTES = 64 * 1024;

interface AccessPointName {
  readonly account: string;
  readonly name: string;
}

/** An alias does not say whose access point it is: most often it lies in the role's own account. */
function nameOf(
  bucket: BucketReference,
  roleAccount: string | undefined,
): AccessPointName | undefined {
  if (bucket.kind === "access-point-arn") {
    const name = /accesspoint[/:](.+)$/.exec(bucket.name)?.[1];
    return name === undefined ? undefined : { account: bucket.account, name };
  }
  const name = ALIAS.exec(bucket.name)?.[1];
  return name === undefined || roleAccount === undefined
    ? undefined
    : { account: roleAccount, name };
}

/**
 * Why an access point refused us, when it is its network: a request from outside its VPC is answered by an
 * AccessDenied like any other, and only GetAccessPoint of S3 Control tells (CR-17). Needs s3:GetAccessPoint of
 * the target role; without it, or when nobody answers, nothing is known and the refusal stays what it is.
 */
export async function explainRefusal(store: Store, refusal: StageError): Promise<StageError> {
  const { bucket, session } = store;
  if (bucket.kind === "bucket" || refusal.code !== "access_denied") return refusal;
  const point = nameOf(bucket, session.roleAccount);
  if (point === undefined) return refusal;
  try {
    const origin = await readNetworkOrigin(await session.client(), point, store);
    if (origin !== "VPC") return refusal;
  } catch {
    // A look that was not allowed says nothing about the access point.
    return refusal;
  }
  return new StageError(
    "connect",
    "access_point_vpc_only",
    "the access point takes requests from its VPC alone",
    {
      ...refusal.coordinate,
      cause: refusal,
      seen: "network origin VPC",
      expected: "network origin Internet",
    },
  );
}

/**
 * Sends GetAccessPoint by the S3 client's own signing: a command of the bucket's is turned into one of S3 Control
 * on its way out, and its answer read on its way in. A client of its own would be a further SDK for one question.
 */
async function readNetworkOrigin(
  client: S3Client,
  { account, name }: AccessPointName,
  { session, limits }: Store,
): Promise<string | undefined> {
  let document = "";
  const command = new GetBucketLocationCommand({ Bucket: "s3-control" });
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as {
        hostname: string;
        path: string;
        query: Record<string, unknown>;
        headers: Record<string, string>;
      };
      if (!session.hasOwnEndpoint) {
        const suffix = session.region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
        request.hostname = `${account}.s3-control.${session.region}.${suffix}`;
        request.headers.host = request.hostname;
      }
      request.path = `/v20180820/accesspoint/${name}`;
      request.query = {};
      request.headers["x-amz-account-id"] = account;
      return await next(args);
    },
    { step: "build", priority: "low", name: "askS3Control" },
  );
  const readAnswer = (next: NextHandler) => async (args: unknown) => {
    const result = await next(args);
    const { response } = result;
    if (response.statusCode === 200) {
      document = await readText(response.body as AsyncIterable<Uint8Array>);
      response.body = Buffer.from("<LocationConstraint/>");
    }
    return result;
  };
  // The stack's types know the steps by overloads, of which a relative place says too little.
  command.middlewareStack.addRelativeTo(
    readAnswer as unknown as Parameters<typeof command.middlewareStack.addRelativeTo>[0],
    { relation: "after", toMiddleware: "deserializerMiddleware", name: "readS3Control" },
  );
  await client.send(command, { abortSignal: AbortSignal.timeout(limits.idleTimeoutMs) });
  return /<NetworkOrigin>(\w+)<\/NetworkOrigin>/.exec(document)?.[1];
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_LIMIT_BYTES) throw new Error("S3 Control sent a longer answer than it has");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
