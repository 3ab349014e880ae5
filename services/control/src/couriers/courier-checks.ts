import type { DescMessage } from "@bufbuild/protobuf";
import type { Violation } from "@bufbuild/protovalidate";
import type { Courier, FeedLoad, FileSpec, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import {
  type DelimitedSettings,
  type FileSettings,
  FileSettingsSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";
import { fieldPathFaults } from "../feeds/field-path-fault.ts";
import {
  type FieldFault,
  invalidRequest,
  toViolation,
  violationsBelow,
} from "../server/field-violations.ts";
import type { Tenant } from "../tenant.ts";
import { feedIdOf, feedKeyOf, feedsOf, newFeedOf } from "./courier-feeds.ts";
import { type FilePart, partsOf } from "./courier-files.ts";
import { credentialsOf } from "./courier-rows.ts";
import { newFeedsViolations } from "./new-feeds.ts";
import { patternFault } from "./pattern-fault.ts";

const MAX_KEY_BYTES = 1024;

/**
 * Throws INVALID_ARGUMENT naming every field of the request's `courier` that refers to nothing, or
 * contradicts another.
 */
export async function assertCourier(
  request: DescMessage,
  courier: Courier,
  kysely: Kysely<Schema>,
  tenant: Tenant,
): Promise<void> {
  const parts = partsOf(courier);
  const faults = [
    ...courier.files.flatMap((file, index) => fileFaults(courier, file, index)),
    ...partFaults(parts),
    ...loadFaults(courier),
    ...(await referenceFaults(courier, kysely, tenant)),
  ];
  const violations = [
    ...entryViolations(request, parts),
    ...faults.map((fault) => toViolation(request, fault)),
    ...(await newFeedsViolations(request, courier, kysely, tenant)),
  ];
  if (violations.length > 0) {
    throw invalidRequest(violations);
  }
}

/** File settings stand inside of file settings: the validator leaves the inner ones out. */
function entryViolations(request: DescMessage, parts: readonly FilePart[]): Violation[] {
  return parts.flatMap(({ entry, settings, path }) =>
    entry === undefined || settings === undefined
      ? []
      : violationsBelow(request, `${path}.settings`, FileSettingsSchema, settings),
  );
}

function fileFaults(courier: Courier, file: FileSpec, index: number): FieldFault[] {
  const path = `courier.files[${index}]`;
  const faults: FieldFault[] = [];
  if (file.selection.case === "pattern") {
    const fault = patternFault(file.selection.value);
    if (fault !== undefined) {
      faults.push({ path: `${path}.pattern`, rule: "list.pattern_invalid", message: fault });
    }
  }
  if (
    file.selection.case === "key" &&
    Buffer.byteLength(courier.prefix + file.selection.value) > MAX_KEY_BYTES
  ) {
    const message = `prefix and key together are longer than ${MAX_KEY_BYTES} bytes`;
    faults.push({ path: `${path}.key`, rule: "file.key_too_long", message });
  }
  return faults;
}

/** What is wrong with tags, entries and settings, of files and of what stands in them. */
function partFaults(parts: readonly FilePart[]): FieldFault[] {
  return parts.flatMap(({ tag, entry, settings, path }, index) => {
    const faults: FieldFault[] = [];
    if (parts.findIndex((each) => each.tag === tag) < index) {
      const message = "another file, or entry of one, has this tag already";
      faults.push({ path: `${path}.tag`, rule: "file.tag_taken", message });
    }
    if (entry?.selection.case === "pattern") {
      const fault = patternFault(entry.selection.value);
      if (fault !== undefined) {
        faults.push({ path: `${path}.pattern`, rule: "list.pattern_invalid", message: fault });
      }
    }
    return [...faults, ...settingsFaults(settings, `${path}.settings`)];
  });
}

function settingsFaults(settings: FileSettings | undefined, path: string): FieldFault[] {
  switch (settings?.format.case) {
    case "delimited":
      return delimitedFaults(settings.format.value, path);
    case "json": {
      const { recordPath, explodePath } = settings.format.value;
      return [
        ...fieldPathFaults(recordPath, `${path}.json.record_path`),
        ...fieldPathFaults(explodePath, `${path}.json.explode_path`),
      ];
    }
    case "xml": {
      const { rowElement, explodePath } = settings.format.value;
      return [
        ...fieldPathFaults(rowElement, `${path}.xml.row_element`),
        ...fieldPathFaults(explodePath, `${path}.xml.explode_path`),
      ];
    }
    default:
      return [];
  }
}

function delimitedFaults(settings: DelimitedSettings, path: string): FieldFault[] {
  const { delimiter = ",", quote = '"', escape: escapeText = "" } = settings;
  const faults: FieldFault[] = [];
  if (/[\r\n]/.test(delimiter)) {
    const message = "a line break can't be between fields";
    faults.push({ path: `${path}.delimited.delimiter`, rule: "delimited.delimiter", message });
  }
  if (quote !== "" && (delimiter.includes(quote) || /[\r\n]/.test(quote))) {
    const message = "the quote is a line break, or part of the delimiter";
    faults.push({ path: `${path}.delimited.quote`, rule: "delimited.quote", message });
  }
  if (escapeText !== "" && (delimiter.includes(escapeText) || /[\r\n]/.test(escapeText))) {
    const message = "the escape is a line break, or part of the delimiter";
    faults.push({ path: `${path}.delimited.escape`, rule: "delimited.escape", message });
  }
  // Without quotes an escape takes what other marks begin with for text.
  const others = `${settings.recordDelimiter ?? ""}${settings.comment ?? ""}`;
  if (quote === "" && escapeText !== "" && others.includes(escapeText)) {
    const message = "the escape is part of the record delimiter or the comment";
    faults.push({ path: `${path}.delimited.escape`, rule: "delimited.escape", message });
  }
  return faults;
}

function loadFaults(courier: Courier): FieldFault[] {
  const faults: FieldFault[] = [];
  const operations = new Map<string, LoadOperation>();
  const pairs = new Set<string>();
  const fillers = new Map<string, FeedLoad>();
  const tags = new Set(partsOf(courier).map(({ tag }) => tag));
  for (const [index, load] of courier.loads.entries()) {
    const path = `courier.loads[${index}]`;
    const feed = feedKeyOf(load);
    for (const [tag, place] of namedTags(load)) {
      if (tags.has(tag)) continue;
      const message = "no file of the courier, and no entry of one, has this tag";
      faults.push({ path: `${path}.${place}`, rule: "load.file_unknown", message });
    }
    const filler = fillers.get(feed);
    if (filler !== undefined && (load.ingestQuery !== undefined || filler.ingestQuery)) {
      const message =
        "another load fills this feed: a feed is filled by files or by one ingest query";
      faults.push({ path: `${path}.${feedPlace(load)}`, rule: "load.query_beside_load", message });
    }
    fillers.set(feed, load);
    const pair = JSON.stringify([feed, load.fileTag]);
    if (pairs.has(pair) && load.ingestQuery === undefined) {
      const message = "this file is loaded into this feed already";
      faults.push({ path: `${path}.file_tag`, rule: "load.repeated", message });
    }
    pairs.add(pair);
    const operation = operations.get(feed) ?? load.operation;
    operations.set(feed, operation);
    if (operation !== load.operation) {
      const message =
        "another load of this feed has another operation; a run does one or the other";
      faults.push({ path: `${path}.operation`, rule: "load.operations_differ", message });
    }
  }
  return faults;
}

const feedPlace = (load: FeedLoad): string =>
  newFeedOf(load) === undefined ? "feed_id" : "new_feed";

/** The tags that a load names, and where. */
function namedTags({ fileTag, ingestQuery }: FeedLoad): (readonly [string, string])[] {
  if (ingestQuery === undefined) return [[fileTag, "file_tag"]];
  return ingestQuery.fileTags.map((tag, at) => [tag, `ingest_query.file_tags[${at}]`]);
}

async function referenceFaults(
  courier: Courier,
  kysely: Kysely<Schema>,
  tenant: Tenant,
): Promise<FieldFault[]> {
  const plugins = await readPlugins(kysely, tenant, credentialsOf(courier));
  const feeds = await readFeedIds(kysely, tenant, feedsOf(courier));
  const faults: FieldFault[] = [];
  const judge = (path: string, id: string, plugin: string): void => {
    const seen = plugins.get(id);
    if (seen === undefined) {
      faults.push({ path, rule: "credential.unknown", message: "there is no such credential" });
    } else if (seen !== plugin) {
      const message = `the credential belongs to plugin ${seen}, not ${plugin}`;
      faults.push({ path, rule: "credential.plugin", message });
    }
  };
  judge("courier.credential_id", courier.credentialId, "amazon-s3");
  for (const { settings, path } of partsOf(courier)) {
    if (settings?.encryption.case === "pgp") {
      judge(`${path}.settings.pgp.credential_id`, settings.encryption.value.credentialId, "pgp");
    }
  }
  for (const [index, load] of courier.loads.entries()) {
    if (newFeedOf(load) === undefined && !feeds.has(feedIdOf(load))) {
      const path = `courier.loads[${index}].feed_id`;
      faults.push({ path, rule: "feed.unknown", message: "there is no such feed" });
    }
  }
  return faults;
}

async function readPlugins(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  ids: readonly string[],
): Promise<Map<string, string>> {
  if (ids.length === 0) {
    return new Map();
  }
  const rows = await kysely
    .selectFrom("credential")
    .select(["id", "plugin"])
    .where("tenant", "=", tenant)
    .where("id", "in", ids)
    .execute();
  return new Map(rows.map((row) => [row.id, row.plugin]));
}

async function readFeedIds(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) {
    return new Set();
  }
  const rows = await kysely
    .selectFrom("feed")
    .select("id")
    .where("tenant", "=", tenant)
    .where("id", "in", ids)
    .execute();
  return new Set(rows.map((row) => row.id));
}
