import { open } from "ffi-rs";

/** The name under which ffi-rs knows the system's C library once it is open. */
export const C_LIBRARY = "c";

export function openCLibrary(): void {
  const path = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  open({ library: C_LIBRARY, path });
}
