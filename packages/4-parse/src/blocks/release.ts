import type { Block } from "@sluice/schema";
import { free } from "@sluice/streams";

/** The `release` of blocks whose buffers are nobody else's. */
export function release(this: Block): void {
  free(this.byteOffsets);
  for (const { offsets, data, validity } of this.columns) {
    free(offsets);
    free(data);
    if (validity !== undefined) free(validity);
  }
}
