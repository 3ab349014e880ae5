import { clone, create } from "@bufbuild/protobuf";
import {
  ArchiveSettings_Kind,
  ArchiveSettingsSchema,
  Compression,
  type FileSettings as FileSettingsMessage,
  FileSettingsSchema,
  PgpSettingsSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import type { PgpKeys as PgpKeysMessage } from "@sluice/api/ingest/v1/task_pb";
import type { StageFailure } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import { type Guess, guess } from "@sluice/infer";
import type { ManifestObject } from "@sluice/schema";
import { COMPRESSION_WORDS, toPgpKeys } from "../from-proto.ts";
import type { SeenLayer } from "../preview/layer-watch.ts";
import type { LookContext } from "../preview/look-at-object.ts";
import { inferFormat, type SettingGuess, told } from "./infer-format.ts";
import { type InferredLayers, inferLayers } from "./infer-layers.ts";
import { documentIn, unknownFormat } from "./unread-format.ts";

/** How an object is opened, as far as its bytes tell. */
export interface InferredSettingsSeen {
  readonly settings: FileSettingsMessage;
  readonly guesses: readonly SettingGuess[];
  readonly layers: readonly SeenLayer[];
  readonly entry: string;
  /** Set when no format could be told: why. */
  readonly failure: StageFailure | undefined;
  readonly warnings: readonly string[];
}

/** What settings there are to begin with, and the secrets to open with. */
export interface GivenSettings {
  readonly settings?: FileSettingsMessage | undefined;
  readonly pgpKeys: Readonly<Record<string, PgpKeysMessage>>;
  /** Of an archive, the file to look into; empty for the first. */
  readonly entry: string;
}

/** Whether settings leave nothing to be inferred before a file can be opened. */
export function namesFormat(
  settings: FileSettingsMessage | undefined,
): settings is FileSettingsMessage {
  if (settings === undefined) return false;
  return settings.format.case !== undefined || (settings.archive?.entries.length ?? 0) > 0;
}

/** Infers what the settings do not say, layer by layer. Throws the failure of a message that no key opens. */
export async function inferSettings(
  source: S3Source,
  object: ManifestObject,
  { settings: given, pgpKeys, entry }: GivenSettings,
  context: LookContext,
): Promise<InferredSettingsSeen> {
  const base = given ?? create(FileSettingsSchema);
  const keys = new Map(Object.entries(pgpKeys).map(([id, held]) => [id, toPgpKeys(held)]));
  const compression = isGiven(base.compression) ? COMPRESSION_WORDS[base.compression] : undefined;
  const found = await inferLayers(
    source,
    object,
    {
      pgp: base.encryption.case === "pgp" ? base.encryption.value.credentialId : undefined,
      compression,
      archive: archiveOf(base),
      entry,
    },
    keys,
    context,
  );
  const guesses = layerGuesses(base, found);
  const settings = withLayers(base, found);
  const { seen, failure, layers, entry: shown } = found.head;
  const common = { layers, entry: shown, warnings: [] };
  const document = documentIn(layers);
  if (document !== undefined) {
    return { ...common, settings, guesses, failure: document.toFailure() };
  }
  if (seen === undefined) return { ...common, settings, guesses, failure };
  const head = { bytes: seen.bytes, isWhole: !seen.hasMore };
  const format = await inferFormat(head, base.format, context.config.limits);
  if (format === undefined) {
    return {
      ...common,
      settings,
      guesses,
      failure: unknownFormat(head).toFailure(),
    };
  }
  const { format: inferred } = create(FileSettingsSchema, { format: format.format });
  return {
    ...common,
    settings: { ...settings, format: inferred },
    guesses: [...guesses, ...format.guesses],
    failure: undefined,
    warnings: format.warnings,
  };
}

const isGiven = (compression: Compression): boolean =>
  compression !== Compression.UNSPECIFIED && compression !== Compression.AUTO;

function archiveOf({ archive }: FileSettingsMessage): "zip" | "tar" | undefined {
  if (archive === undefined) return undefined;
  return archive.kind === ArchiveSettings_Kind.TAR ? "tar" : "zip";
}

function layerGuesses(
  base: FileSettingsMessage,
  { pgp, compression, archive }: InferredLayers,
): readonly SettingGuess[] {
  const id = base.encryption.case === "pgp" ? base.encryption.value.credentialId : undefined;
  const none: Guess<string> = guess("none", 0.99, "the object is no encrypted OpenPGP message");
  const kind = archiveOf(base);
  const compressionWord = COMPRESSION_WORDS[base.compression];
  return [
    told(pgp === undefined ? "encryption" : "pgp.credential_id", id, pgp ?? none),
    told("compression", isGiven(base.compression) ? compressionWord : undefined, compression),
    told(archive.value === "none" ? "archive" : "archive.kind", kind, archive),
  ];
}

/** The given settings, with what was found where they say nothing. */
function withLayers(
  base: FileSettingsMessage,
  { pgp, compression, archive }: InferredLayers,
): FileSettingsMessage {
  const settings = clone(FileSettingsSchema, base);
  settings.compression = COMPRESSION_MESSAGES.get(compression.value) ?? Compression.AUTO;
  if (pgp !== undefined) {
    settings.encryption = {
      case: "pgp",
      value: create(PgpSettingsSchema, { credentialId: pgp.value }),
    };
  }
  if (settings.archive === undefined && archive.value !== "none") {
    settings.archive = create(ArchiveSettingsSchema, { kind: ARCHIVE_KINDS[archive.value] });
  }
  return settings;
}

const ARCHIVE_KINDS = { zip: ArchiveSettings_Kind.ZIP, tar: ArchiveSettings_Kind.TAR };
const COMPRESSION_MESSAGES: ReadonlyMap<string, Compression> = new Map(
  Object.values(Compression)
    .filter((compression) => compression !== Compression.UNSPECIFIED)
    .map((compression) => [COMPRESSION_WORDS[compression], compression]),
);
