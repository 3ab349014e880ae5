import type { Socket } from "node:net";

/** What every HTTP/2 connection begins with (RFC 9113, section 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Who takes the connection, by what it speaks. */
export interface ProtocolChoice {
  /** A connection that has not shown what it speaks by then is closed. */
  readonly timeoutMs: number;
  readonly http1: () => void;
  readonly http2: () => void;
}

/**
 * Reads just enough of a new connection to tell HTTP/2 with prior knowledge from HTTP/1.1, puts it
 * back, and hands the connection over. The preface may come in pieces.
 */
export function handOver(socket: Socket, choice: ProtocolChoice): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), choice.timeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("data", look);
    socket.off("end", giveUp);
    socket.off("error", giveUp);
    socket.off("close", stop);
  };
  const giveUp = (): void => {
    stop();
    socket.destroy();
  };
  const look = (bytes: Buffer): void => {
    seen = seen.length === 0 ? bytes : Buffer.concat([seen, bytes]);
    const length = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
    if (isPreface && length < PREFACE.length) {
      return;
    }
    stop();
    socket.pause();
    socket.unshift(seen);
    if (isPreface) {
      // The session takes what was put back, and reads on by itself, past the stream.
      choice.http2();
    } else {
      choice.http1();
      socket.resume();
    }
  };
  socket.on("data", look);
  socket.once("end", giveUp);
  socket.once("error", giveUp);
  socket.once("close", stop);
}
