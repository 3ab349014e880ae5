/** Memory that nobody cleared: for buffers that are written before they are read. */
export function uninitialised(length: number): Uint8Array {
  // A plain Uint8Array rather than a Buffer: the hot loops stay with one hidden class.
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}
