import { connect } from "node:http2";

/** Posts bytes as they are, over HTTP/2, and gives all that came back: headers, body and trailers, as text. */
export async function post(
  url: string,
  { type, key, body }: { readonly type: string; readonly key: string; readonly body: Buffer },
): Promise<string> {
  const { origin, pathname } = new URL(url);
  const session = connect(origin);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": pathname,
      "content-type": type,
      authorization: `Bearer ${key}`,
      te: "trailers",
    });
    const seen: string[] = [];
    const note = (headers: object): void => {
      for (const [name, value] of Object.entries(headers)) seen.push(`${name}: ${value}`);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.end(body);
    for await (const chunk of stream) seen.push(String(chunk));
    return seen.join("\n");
  } finally {
    session.destroy();
  }
}
