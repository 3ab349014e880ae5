import type { Socket } from "node:net";

/** Types of frames (RFC 9113, section 6). */
export const FRAMES = { HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, GOAWAY: 7 } as const;

export interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly flags?: number;
  readonly payload?: Uint8Array;
}

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
export function frame({ type, stream, flags = 0, payload = new Uint8Array() }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Reads frames until the connection ends. */
export async function* readFrames(
  socket: Socket,
): AsyncGenerator<{ type: number; payload: Buffer }> {
  let seen = Buffer.alloc(0);
  for await (const bytes of socket) {
    seen = Buffer.concat([seen, bytes]);
    while (seen.length >= 9 && seen.length >= 9 + seen.readUIntBE(0, 3)) {
      const end = 9 + seen.readUIntBE(0, 3);
      yield { type: seen.readUInt8(3), payload: seen.subarray(9, end) };
      seen = seen.subarray(end);
    }
  }
}
