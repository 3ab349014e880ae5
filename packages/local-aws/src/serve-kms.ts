import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  randomUUID,
} from "node:crypto";
import type { ServerResponse } from "node:http";
import { authenticate } from "./authenticate.ts";
import type { ServerState } from "./exchange.ts";
import type { HttpRequest } from "./http-request.ts";
import { evaluateIdentity } from "./principal.ts";
import { arrivingBytes, readText } from "./request-body.ts";
import { S3Error } from "./s3-error.ts";

/**
 * Answers one request of the KMS API (JSON 1.1), as far as envelope encryption needs it: CreateKey, GenerateDataKey,
 * Encrypt and Decrypt, with encryption contexts. Keys follow from the account's secret, so nothing is stored.
 */
export async function serveKms(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
): Promise<void> {
  try {
    send(response, 200, await answer(state, request, response));
  } catch (error) {
    const refusal = toRefusal(error);
    send(response, refusal.status, { __type: refusal.code, message: refusal.message });
  }
}

class KmsError extends Error {
  override readonly name: string = "KmsError";
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

interface KmsInput {
  readonly KeyId?: string;
  readonly Plaintext?: string;
  readonly CiphertextBlob?: string;
  readonly NumberOfBytes?: number;
  readonly KeySpec?: string;
  readonly EncryptionContext?: Readonly<Record<string, string>>;
}

async function answer(
  state: ServerState,
  request: HttpRequest,
  response: ServerResponse,
): Promise<object> {
  const body = await readText(arrivingBytes(request, response));
  const operation = (request.headers.get("x-amz-target") ?? "").replace(/^TrentService\./, "");
  state.statistics.requestStarted(operation);
  const subject = { operation, bucket: undefined, key: undefined, principals: [] };
  const [fault] = state.faults.fire(subject, ["error"]);
  if (fault !== undefined)
    throw new KmsError("KMSInternalException", "A fault was asked for.", 500);
  const bodyHash = createHash("sha256").update(body).digest("hex");
  const { principal } = authenticate(request, state.accounts, state.now(), bodyHash);
  const input: KmsInput = JSON.parse(body);
  const { accountId, region, root } = state.accounts;
  const arnOf = (keyId: string): string =>
    keyId.startsWith("arn:") ? keyId : `arn:aws:kms:${region}:${accountId}:key/${keyId}`;
  const blob = Buffer.from(input.CiphertextBlob ?? "", "base64");
  const keyArn =
    operation === "CreateKey"
      ? arnOf(randomUUID())
      : operation === "Decrypt"
        ? keyArnOf(blob)
        : arnOf(input.KeyId ?? "");
  const wanted = { action: `kms:${operation}`, resources: [keyArn], context: {} };
  if (evaluateIdentity(principal, wanted) !== "allow") {
    throw new KmsError("AccessDeniedException", `not authorized to perform: ${wanted.action}`);
  }
  const key = createHmac("sha256", root.secretAccessKey).update(`kms:${keyArn}`).digest();
  const context = contextBytes(input.EncryptionContext);
  switch (operation) {
    case "CreateKey":
      return { KeyMetadata: { KeyId: keyArn.split("/").at(-1), Arn: keyArn, Enabled: true } };
    case "GenerateDataKey": {
      const size = input.NumberOfBytes ?? (input.KeySpec === "AES_128" ? 16 : 32);
      const plain = randomBytes(size);
      const CiphertextBlob = encrypt(key, keyArn, plain, context);
      return { KeyId: keyArn, Plaintext: plain.toString("base64"), CiphertextBlob };
    }
    case "Encrypt": {
      const plain = Buffer.from(input.Plaintext ?? "", "base64");
      if (plain.length > 4096) throw new KmsError("ValidationException", "more than 4096 bytes");
      return { KeyId: keyArn, CiphertextBlob: encrypt(key, keyArn, plain, context) };
    }
    case "Decrypt":
      if (input.KeyId !== undefined && arnOf(input.KeyId) !== keyArn) {
        throw new KmsError("IncorrectKeyException", "The key is not the one that encrypted.");
      }
      return { KeyId: keyArn, Plaintext: decrypt(key, blob, context).toString("base64") };
    default:
      throw new KmsError("UnknownOperationException", `no operation ${operation}`);
  }
}

/** Both sides have to say the same pairs, in whatever order. */
function contextBytes(context: Readonly<Record<string, string>> = {}): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).sort()));
}

/** The key's ARN with its length, nonce, tag and ciphertext. */
function encrypt(key: Buffer, keyArn: string, plain: Buffer, context: Buffer): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(context);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  const head = Buffer.concat([Buffer.of(keyArn.length), Buffer.from(keyArn)]);
  return Buffer.concat([head, nonce, cipher.getAuthTag(), body]).toString("base64");
}

function keyArnOf(blob: Buffer): string {
  return blob.toString("latin1", 1, 1 + (blob[0] ?? 0));
}

function decrypt(key: Buffer, blob: Buffer, context: Buffer): Buffer {
  const at = 1 + (blob[0] ?? 0);
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, blob.subarray(at, at + 12));
    decipher.setAAD(context);
    decipher.setAuthTag(blob.subarray(at + 12, at + 28));
    return Buffer.concat([decipher.update(blob.subarray(at + 28)), decipher.final()]);
  } catch {
    throw new KmsError("InvalidCiphertextException", "");
  }
}

function toRefusal(error: unknown): KmsError {
  if (error instanceof KmsError) return error;
  if (error instanceof SyntaxError) return new KmsError("SerializationException", "not JSON");
  if (!(error instanceof S3Error)) return new KmsError("KMSInternalException", "It failed.", 500);
  return error.code === "SignatureDoesNotMatch"
    ? new KmsError("InvalidSignatureException", error.message)
    : new KmsError("UnrecognizedClientException", error.message);
}

function send(response: ServerResponse, status: number, document: object): void {
  const body = Buffer.from(JSON.stringify(document));
  response.writeHead(status, {
    "content-type": "application/x-amz-json-1.1",
    "content-length": body.length,
  });
  response.end(body);
}
