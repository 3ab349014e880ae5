import { parentPort, workerData } from "node:worker_threads";
import { S3 } from "@aws-sdk/client-s3";
import { SaxesParser } from "saxes";

/** Reads an XML object from S3, parses it by saxes, and tells how many records it saw. */

const { url, accessKeyId, secretAccessKey, element } = workerData;
const { origin, pathname } = new URL(url);
const [, bucket = "", ...key] = pathname.split("/");
const s3 = new S3({
  endpoint: origin,
  region: "us-east-1",
  forcePathStyle: true,
  credentials: { accessKeyId, secretAccessKey },
});
let records = 0;
const parser = new SaxesParser();
parser.on("opentag", () => undefined);
parser.on("text", () => undefined);
parser.on("closetag", ({ name }) => {
  if (name === element) records++;
});
const { Body } = await s3.getObject({ Bucket: bucket, Key: key.join("/") });
const text = Body?.transformToWebStream().pipeThrough(
  new TextDecoderStream("utf-8", { fatal: true }),
);
for await (const piece of text ?? []) parser.write(piece);
parser.close();
s3.destroy();
parentPort?.postMessage(records);
