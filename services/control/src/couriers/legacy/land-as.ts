import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import {
  type FileSettingsSchema,
  JsonSettings_Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import { booleanOf, type JsonValueAt, refuseOthers, textOf } from "./legacy-document.ts";
import type { Report } from "./report.ts";

export type SettingsInit = Exclude<MessageInitShape<typeof FileSettingsSchema>, Message>;
type Format = NonNullable<SettingsInit["format"]>;

/** What `land-as` says of a file. */
export interface LandAs {
  readonly tag: string;
  readonly format: Format;
}

const DELIMITERS: Readonly<Record<string, string>> = {
  "text/csv": ",",
  "text/tab-separated-values": "\t",
  "text/pipe-separated-values": "|",
};

const FORMATS: Readonly<Record<string, Format>> = {
  "application/json": { case: "json", value: { shape: JsonSettings_Shape.RECORDS } },
  "application/x-ndjson": { case: "json", value: { shape: JsonSettings_Shape.LINES } },
  "application/x-json-stream": { case: "json", value: { shape: JsonSettings_Shape.CONCATENATED } },
  "application/xml": { case: "xml", value: { rowElement: "row" } },
  "application/avro": { case: "avro", value: {} },
  "application/x-parquet": { case: "parquet", value: {} },
};

const INGEST_PACK = "application/ingest-pack+cbor";

const BY_ENDING: Readonly<Record<string, string>> = {
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  psv: "text/pipe-separated-values",
  json: "application/json",
  ndjson: "application/x-ndjson",
  xml: "application/xml",
  avro: "application/avro",
  parquet: "application/x-parquet",
};

const KNOWN = ["file/tag", "file/content-type", "file/header-rows", "file/separator", "file/quote"];

/**
 * Reads a `land-as`. What is not said is taken from the file's name, with a warning; undefined, and reported, when
 * that says nothing either.
 */
export function readLandAs(at: JsonValueAt, fileName: string, report: Report): LandAs | undefined {
  if (at.kind !== "object") {
    report.error(at, "wrong_type", "land-as is not an object", 'write {"file/tag": "...", ...}');
    return undefined;
  }
  refuseOthers(at, KNOWN, report);
  const tag = textOf(at, "file/tag", report) ?? tagOf(at, fileName, report);
  const contentType = textOf(at, "file/content-type", report) ?? guessType(at, fileName, report);
  if (contentType === undefined) return undefined;
  const format = formatOf(at, contentType, report);
  return format && { tag, format };
}

function tagOf(at: JsonValueAt, fileName: string, report: Report): string {
  const tag = fileName.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "") || "file";
  const message = `no file/tag: ${JSON.stringify(tag)} is taken, after the file's name`;
  report.warning(at, "tag_missing", message, `write "file/tag": ${JSON.stringify(tag)}`);
  return tag;
}

function guessType(at: JsonValueAt, fileName: string, report: Report): string | undefined {
  const ending = /\.([a-z]+)(?:\.(?:gz|pgp|gpg|asc|zip))*'?$/i.exec(fileName)?.[1]?.toLowerCase();
  const guessed = BY_ENDING[ending ?? ""];
  if (guessed === undefined) {
    const message = "no file/content-type, and the file's name does not tell it";
    report.error(at, "content_type_missing", message, 'write "file/content-type": "text/csv"');
    return undefined;
  }
  const message = `no file/content-type: ${guessed} is taken, after the file's name`;
  const suggestion = `write "file/content-type": ${JSON.stringify(guessed)}`;
  report.warning(at, "content_type_missing", message, suggestion);
  return guessed;
}

function formatOf(at: JsonValueAt, contentType: string, report: Report): Format | undefined {
  const place = at.members.get("file/content-type") ?? at;
  const [type = ""] = contentType.toLowerCase().split(";");
  const delimiter = DELIMITERS[type.trim()];
  if (delimiter !== undefined) return delimitedOf(at, delimiter, report);
  const format = FORMATS[type.trim()];
  if (format === undefined) {
    if (type.trim() === INGEST_PACK) {
      const message = `${INGEST_PACK} is not read: it is the other product's own format`;
      const suggestion = "have the files written as Avro, Parquet or NDJSON";
      report.error(place, "content_type_refused", message, suggestion);
    } else {
      const known = [...Object.keys(DELIMITERS), ...Object.keys(FORMATS)].join(", ");
      const message = `${JSON.stringify(contentType)} is no content type that is known`;
      report.error(place, "content_type_unknown", message, `write one of ${known}`);
    }
    return undefined;
  }
  for (const name of ["file/header-rows", "file/separator", "file/quote"]) {
    const member = at.members.get(name);
    if (member === undefined) continue;
    const message = `${name} means nothing for ${type.trim()} and is left out`;
    report.warning(member, "member_useless", message, "leave it out");
  }
  return format;
}

function delimitedOf(at: JsonValueAt, delimiter: string, report: Report): Format {
  const separator = textOf(at, "file/separator", report) ?? delimiter;
  const quote = textOf(at, "file/quote", report);
  const quoteAt = at.members.get("file/quote");
  if (quote !== undefined && quoteAt !== undefined && quote.length > 1) {
    report.error(quoteAt, "quote_too_long", "a quote is one character, or none", 'write "\\""');
  }
  return {
    case: "delimited",
    value: {
      delimiter: separator,
      ...(quote === undefined ? {} : { quote: quote.slice(0, 1) }),
      ...headerRows(at, report),
    },
  };
}

/** Ours is one line of names at most; further lines before it are passed over. */
function headerRows(at: JsonValueAt, report: Report): { headerRows?: number; skipRows?: number } {
  const member = at.members.get("file/header-rows");
  if (member === undefined) return {};
  const { value } = member;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 10_000) {
    const message = "file/header-rows is not a count of lines";
    report.error(member, "wrong_type", message, "write 1, or 0 for a file without a header");
    return {};
  }
  if (value <= 1) return { headerRows: value };
  const message = `of ${value} header rows the last one names the columns, the others are passed over`;
  report.warning(member, "header_rows_many", message, "check that the names stand in the last one");
  return { headerRows: 1, skipRows: value - 1 };
}

/** Applies the options that a Spark reader was given for a file. */
export function withSparkOptions(format: Format, options: JsonValueAt, report: Report): Format {
  refuseOthers(
    options,
    ["delimiter", "sep", "escape", "multiline", "multiLine", "quote", "rowTag", "header"],
    report,
  );
  const text = (name: string): string | undefined => textOf(options, name, report);
  const useless = (name: string): void => {
    const member = options.members.get(name);
    if (member === undefined) return;
    const place =
      name === "escape" && format.case === "delimited" ? "text without quotes" : format.case;
    const message = `the option ${name} means nothing for ${place}, and is left out`;
    report.warning(member, "option_useless", message, "leave it out");
  };
  const multiline =
    booleanOf(options, "multiline", report) ?? booleanOf(options, "multiLine", report);
  switch (format.case) {
    case "delimited": {
      useless("rowTag");
      const delimiter = text("delimiter") ?? text("sep");
      const quote = text("quote");
      const escapeText = text("escape");
      const header = booleanOf(options, "header", report);
      // Spark escapes inside of quotes alone; here an escape without quotes would be read.
      if (quote === "") useless("escape");
      return {
        case: "delimited",
        value: {
          ...format.value,
          ...(delimiter === undefined ? {} : { delimiter }),
          ...(quote === undefined ? {} : { quote }),
          ...(escapeText === undefined || quote === "" || escapeText === (quote ?? '"')
            ? {}
            : { escape: escapeText }),
          ...(header === undefined ? {} : { headerRows: header ? 1 : 0 }),
        },
      };
    }
    case "json": {
      for (const name of ["delimiter", "sep", "quote", "escape", "rowTag", "header"]) useless(name);
      if (multiline === undefined) return format;
      const shape = multiline ? JsonSettings_Shape.RECORDS : JsonSettings_Shape.LINES;
      return { case: "json", value: { ...format.value, shape } };
    }
    case "xml": {
      for (const name of ["delimiter", "sep", "quote", "escape", "header"]) useless(name);
      return { case: "xml", value: { ...format.value, rowElement: text("rowTag") ?? "row" } };
    }
    default:
      for (const name of options.members.keys()) useless(name);
      return format;
  }
}
