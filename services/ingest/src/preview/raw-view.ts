import { isUtf8 } from "node:buffer";
import { ENOUGH } from "./enough.ts";
import type { Viewer } from "./look-at-object.ts";

/** The first bytes of a file once all layers are off. */
export interface RawSeen {
  readonly bytes: Uint8Array;
  /** Whether they are UTF-8, up to a character that the cut may have gone through. */
  readonly isText: boolean;
  readonly hasMore: boolean;
}

/** Bytes as they are, at most `maxBytes` of them. */
export function rawView(maxBytes: number): Viewer<RawSeen> {
  const see = async (source: AsyncIterable<Uint8Array>): Promise<RawSeen> => {
    const parts: Uint8Array[] = [];
    let held = 0;
    for await (const chunk of source) {
      parts.push(chunk.subarray(0, maxBytes + 1 - held));
      held += chunk.byteLength;
      if (held > maxBytes) break;
    }
    const all = Buffer.concat(parts);
    const hasMore = all.byteLength > maxBytes;
    const bytes = all.subarray(0, maxBytes);
    const whole = hasMore ? bytes.subarray(0, wholeCharacters(bytes)) : bytes;
    const isText = isUtf8(whole) && !whole.includes(0);
    return { bytes: isText ? whole : bytes, isText, hasMore };
  };
  return {
    async stream(_name, _format, bytes, show) {
      const seen = await see(bytes);
      show(seen);
      if (seen.hasMore) throw ENOUGH;
    },
    async parquet() {
      throw new Error("bytes are looked at as a stream");
    },
  };
}

/** Bytes up to the last whole character: of a cut one at most three bytes stand at the end. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.byteLength); back++) {
    const byte = bytes[bytes.byteLength - back] ?? 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? bytes.byteLength - back : bytes.byteLength;
    }
    if (byte < 0x80) break;
  }
  return bytes.byteLength;
}
