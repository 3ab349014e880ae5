import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Checksum, ChecksumAlgorithm, ChecksumType } from "./checksums.ts";
import type { Segment } from "./object-store.ts";
import { writeJson } from "./small-file.ts";

export interface UploadPart {
  readonly number: number;
  readonly segment: Segment;
  /** Hexadecimal; also the part's ETag. */
  readonly md5: string;
  readonly checksum?: Checksum;
  readonly lastModified: string;
}

interface UploadInput {
  readonly key: string;
  readonly initiated: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ChecksumType;
}

export interface Upload extends UploadInput {
  readonly id: string;
  readonly parts: ReadonlyMap<number, UploadPart>;
}

/** The unfinished multipart uploads of a bucket. */
export interface UploadStore {
  create(input: UploadInput): Upload;
  get(id: string): Upload | undefined;
  all(): readonly Upload[];
  /** Adds a part; the part of that number before it is returned, to be discarded. */
  putPart(id: string, part: UploadPart): UploadPart | undefined;
  /** Forgets the upload; its parts' data files stay. */
  remove(id: string): void;
  /** The data files of all parts. */
  partFiles(): ReadonlySet<string>;
}

/** Opens `<directory>/uploads`: a folder per upload with `upload.json` and one JSON file per part. */
export function openUploadStore(directory: string): UploadStore {
  const root = join(directory, "uploads");
  mkdirSync(root, { recursive: true });
  const uploads = new Map<string, Upload & { parts: Map<number, UploadPart> }>();
  for (const id of readdirSync(root)) {
    const files = readdirSync(join(root, id)).filter((name) => name.endsWith(".json"));
    const read = (name: string) => JSON.parse(readFileSync(join(root, id, name), "utf8"));
    if (!files.includes("upload.json")) continue;
    const parts: UploadPart[] = files.filter((name) => name !== "upload.json").map(read);
    const byNumber = new Map(parts.map((part) => [part.number, part]));
    uploads.set(id, { ...(read("upload.json") as UploadInput), id, parts: byNumber });
  }
  return {
    create: (input) => {
      const upload = { ...input, id: randomUUID().replaceAll("-", ""), parts: new Map() };
      mkdirSync(join(root, upload.id));
      writeJson(join(root, upload.id, "upload.json"), input);
      uploads.set(upload.id, upload);
      return upload;
    },
    get: (id) => uploads.get(id),
    all: () => [...uploads.values()],
    putPart: (id, part) => {
      const upload = uploads.get(id);
      if (upload === undefined) return part;
      writeJson(join(root, id, `${part.number}.json`), part);
      const before = upload.parts.get(part.number);
      upload.parts.set(part.number, part);
      return before;
    },
    remove: (id) => {
      uploads.delete(id);
      rmSync(join(root, id), { recursive: true, force: true });
    },
    partFiles: () => {
      const files = new Set<string>();
      for (const upload of uploads.values()) {
        for (const part of upload.parts.values()) files.add(part.segment.file);
      }
      return files;
    },
  };
}
