/** One object of a frozen manifest: exactly this version is read, or nothing. */
export interface ManifestObject {
  readonly bucket: string;
  readonly key: string;
  /** As S3 gives it, quotes included. */
  readonly etag: string;
  readonly versionId?: string;
  /** Bytes. */
  readonly size: number;
  /** The day it was matched for, `yyyy-mm-dd`. */
  readonly date?: string;
  /** What the courier calls the file that it was found for. */
  readonly tag?: string;
  /** Counts objects of the domain table's whole life; a later load, day or key has the larger one. At most 2^27 - 1. */
  readonly ordinal: number;
  /** How often its load was begun from the start, because other bytes or settings came; not set for never. */
  readonly generation?: number;
}

/** One object as a listing shows it. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
  readonly storageClass: string;
}
