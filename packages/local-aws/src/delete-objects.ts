import { type Exchange, isAllowed, sendXml, storageOf } from "./exchange.ts";
import { readDocument } from "./request-body.ts";
import { S3Error } from "./s3-error.ts";
import { element, field, parseXml, records, s3Document, text } from "./xml.ts";

const MAX_DELETED = 1_000;

/** DeleteObject: an absent key is deleted just as well. */
export async function deleteObject(exchange: Exchange): Promise<void> {
  storageOf(exchange).objects.remove(exchange.key);
  sendXml(exchange, 204, undefined);
}

/** DeleteObjects: up to 1,000 keys, each with its own outcome. */
export async function deleteObjects(exchange: Exchange): Promise<void> {
  const { request, response, authentication, bucketName } = exchange;
  const { objects } = storageOf(exchange);
  const root = parseXml(await readDocument(request, response, authentication), "Delete");
  const keys = records(root, "Object").map((record) => text(record, "Key") ?? "");
  if (keys.length === 0 || keys.length > MAX_DELETED) {
    throw new S3Error("MalformedXML", "The list must name between 1 and 1,000 objects.");
  }
  const isQuiet = text(root, "Quiet") === "true";
  const outcomes = keys.map((key) => {
    if (!isAllowed(exchange, "s3:DeleteObject", bucketName, key)) {
      return element(
        "Error",
        field("Key", key),
        field("Code", "AccessDenied"),
        field("Message", "Access Denied"),
      );
    }
    objects.remove(key);
    return isQuiet ? "" : element("Deleted", field("Key", key));
  });
  sendXml(exchange, 200, s3Document("DeleteResult", ...outcomes));
}
