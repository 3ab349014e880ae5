import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import {
  type DelimitedSettings,
  DelimitedSettingsSchema,
  DelimitedSettings_Encoding as Encoding,
  type FileSettings as FileSettingsMessage,
  JsonSettings_Shape as Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import {
  encodingDoubt,
  type Guess,
  guess,
  headerFaults,
  headText,
  inferDialect,
  inferEncoding,
  inferHeader,
  inferJsonShape,
  inferRowElement,
  jsonText,
} from "@sluice/infer";
import { detectFormat } from "@sluice/parse";
import type { FormatSettings, TextEncoding } from "@sluice/schema";
import type { StageLimits } from "../limits.ts";
import { cutSample } from "./cut-sample.ts";

/** A guess with the field of FileSettings that it is for. */
export interface SettingGuess {
  readonly fieldPath: string;
  readonly guess: Guess<string>;
  readonly isGiven: boolean;
}

export interface InferredFormat {
  readonly format: NonNullable<MessageInitShape<typeof FileSettingsSchema>["format"]>;
  readonly guesses: readonly SettingGuess[];
  /** What a load by them would stumble over. */
  readonly warnings: readonly string[];
}

/** The head of a file once all layers are off. */
export interface PlainHead {
  readonly bytes: Uint8Array;
  readonly isWhole: boolean;
}

/** How plain bytes are written; undefined when they are of no format that is read. */
export async function inferFormat(
  head: PlainHead,
  given: FileSettingsMessage["format"],
  limits: StageLimits,
): Promise<InferredFormat | undefined> {
  const encoding = inferEncoding(head.bytes, head.isWhole);
  const kind =
    given.case === undefined ? formatOf(head, encoding.value) : guess(given.case, 1, "given");
  if (kind === undefined) return undefined;
  const format: SettingGuess = {
    fieldPath: "format",
    guess: kind,
    isGiven: given.case !== undefined,
  };
  switch (kind.value) {
    case "avro":
    case "parquet":
      return { format: { case: kind.value, value: {} }, guesses: [format], warnings: [] };
    case "json":
      return json(head, given.case === "json" ? given.value : undefined, format);
    case "xml":
      return xml(head, encoding.value, given.case === "xml" ? given.value : undefined, format);
    case "delimited": {
      const written = given.case === "delimited" ? given.value : create(DelimitedSettingsSchema);
      return await delimited(head, encoding, written, format, limits);
    }
  }
}

type Kind = FormatSettings["kind"];

function formatOf({ bytes, isWhole }: PlainHead, encoding: TextEncoding): Guess<Kind> | undefined {
  const isWide = encoding === "utf-16le" || encoding === "utf-16be";
  // What UTF-16 says is told from its characters.
  const shown = isWide ? Buffer.from(headText(bytes.subarray(0, 2048), encoding)) : bytes;
  const seen = detectFormat(shown.subarray(0, 512));
  if (seen === undefined) return undefined;
  if (seen.kind === undefined) return undefined;
  const evidence = `the bytes begin as ${seen.words} does`;
  if (seen.kind !== "delimited") return guess(seen.kind, 0.97, evidence);
  const found = jsonText(headText(bytes, encoding), isWhole);
  if (found === undefined) return guess(seen.kind, 0.8, evidence);
  return found.kind === "json" ? guess("json", 0.9, found.evidence) : undefined;
}

const SHAPES = { records: Shape.RECORDS, lines: Shape.LINES, concatenated: Shape.CONCATENATED };
const SHAPE_WORDS = ["records", "lines", "concatenated"] as const;

type Json = Extract<FileSettingsMessage["format"], { case: "json" }>["value"];

function json(head: PlainHead, given: Json | undefined, format: SettingGuess): InferredFormat {
  const found = inferJsonShape(headText(head.bytes, "utf-8"));
  const shape = given?.shape || SHAPES[found.shape.value];
  const givenShape = SHAPE_WORDS.find((word) => SHAPES[word] === given?.shape);
  const isPathGiven = given !== undefined && given.recordPath !== "";
  const recordPath = isPathGiven ? given.recordPath : found.recordPath.value;
  return {
    format: {
      case: "json",
      value: { shape, recordPath, explodePath: given?.explodePath ?? "" },
    },
    guesses: [
      format,
      told("json.shape", givenShape, found.shape),
      told("json.record_path", isPathGiven ? given.recordPath : undefined, found.recordPath),
    ],
    warnings: [],
  };
}

type Xml = Extract<FileSettingsMessage["format"], { case: "xml" }>["value"];

function xml(
  { bytes }: PlainHead,
  encoding: TextEncoding,
  given: Xml | undefined,
  format: SettingGuess,
): InferredFormat {
  const found = inferRowElement(headText(bytes, encoding));
  const written = given === undefined || given.rowElement === "" ? undefined : given.rowElement;
  const rowElement = written ?? found.value;
  return {
    format: { case: "xml", value: { rowElement, explodePath: given?.explodePath ?? "" } },
    guesses: [format, told("xml.row_element", written, found)],
    warnings: [],
  };
}

const ENCODINGS: Readonly<Record<TextEncoding, Encoding>> = {
  "utf-8": Encoding.UTF_8,
  "utf-16le": Encoding.UTF_16LE,
  "utf-16be": Encoding.UTF_16BE,
  "latin-1": Encoding.LATIN_1,
  "windows-1252": Encoding.WINDOWS_1252,
};

async function delimited(
  head: PlainHead,
  foundEncoding: Guess<TextEncoding>,
  given: DelimitedSettings,
  format: SettingGuess,
  limits: StageLimits,
): Promise<InferredFormat> {
  const words = Object.keys(ENCODINGS) as TextEncoding[];
  const givenEncoding = words.find((word) => ENCODINGS[word] === given.encoding);
  const encoding = givenEncoding ?? foundEncoding.value;
  const text = headText(head.bytes, encoding);
  const mark = delimiterLine(text);
  const delimiter = given.delimiter ?? mark;
  const skipRows = given.skipRows || (mark === undefined ? 0 : 1);
  const { quote, headerRows } = given;
  const known = {
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(quote === undefined ? {} : { quote }),
    ...(given.escape === undefined ? {} : { escape: given.escape }),
  };
  const { nullText = "", comment, recordDelimiter } = given;
  const more = {
    ...(comment === undefined ? {} : { comment }),
    ...(recordDelimiter === undefined ? {} : { recordDelimiter }),
  };
  const dialect = await inferDialect(text, known, (marks) =>
    cutSample(head, { ...marks, ...more, encoding, skipRows, nullText }, limits),
  );
  const header = inferHeader(dialect.trial.rows);
  const names = (value: number): Guess<string> => ({ ...header, value: String(value) });
  return {
    format: {
      case: "delimited",
      value: {
        ...given,
        skipRows,
        delimiter: dialect.delimiter.value,
        quote: dialect.quote.value,
        escape: dialect.escape.value,
        headerRows: headerRows ?? header.value,
        encoding: ENCODINGS[encoding],
      },
    },
    guesses: [
      format,
      told(
        "delimited.delimiter",
        given.delimiter,
        mark === undefined ? dialect.delimiter : guess(mark, 0.99, DELIMITER_LINE),
      ),
      ...(mark === undefined
        ? []
        : [
            told(
              "delimited.skip_rows",
              given.skipRows === 0 ? undefined : String(given.skipRows),
              guess("1", 0.99, DELIMITER_LINE),
            ),
          ]),
      told("delimited.quote", quote, dialect.quote),
      told("delimited.escape", given.escape, dialect.escape),
      told(
        "delimited.header_rows",
        headerRows === undefined ? undefined : String(headerRows),
        names(header.value),
      ),
      told("delimited.encoding", givenEncoding, foundEncoding),
    ],
    warnings: [
      givenEncoding === undefined ? encodingDoubt(head.bytes, encoding) : undefined,
      (headerRows ?? header.value) === 1 ? headerFaults(dialect.trial.rows[0] ?? []) : undefined,
    ].filter((warning) => warning !== undefined),
  };
}

const DELIMITER_LINE = "the first line, which Excel writes and passes over, names the delimiter";

/** The delimiter that a first line "sep=;" names. */
const delimiterLine = (text: string): string | undefined =>
  /^sep=([^\r\n])(?:[\r\n]|$)/i.exec(text)?.[1];

/** What was given wins over what was found. */
export function told(
  fieldPath: string,
  given: string | undefined,
  found: Guess<string>,
): SettingGuess {
  return given === undefined
    ? { fieldPath, guess: found, isGiven: false }
    : { fieldPath, guess: guess(given, 1, "given"), isGiven: true };
}
