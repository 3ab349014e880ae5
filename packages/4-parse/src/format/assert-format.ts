import { StageError } from "@sluice/errors";
import type { FormatSettings } from "@sluice/schema";

type FormatKind = FormatSettings["kind"];

/** What the first bytes of a file surely are. */
export interface SeenFormat {
  readonly words: string;
  /** The format's setting; undefined for formats that are not read. */
  readonly kind: FormatKind | undefined;
}

/** Formats that begin with marks of their own, and what else people take for data. */
const MARKS: readonly (SeenFormat & { readonly mark: string })[] = [
  { words: "Parquet", mark: "PAR1", kind: "parquet" },
  { words: "encrypted Parquet", mark: "PARE", kind: "parquet" },
  { words: "Avro", mark: "Obj\x01", kind: "avro" },
  { words: "ORC", mark: "ORC", kind: undefined },
  { words: "an Arrow file", mark: "ARROW1", kind: undefined },
  { words: "PDF", mark: "%PDF-", kind: undefined },
  {
    words: "an old Office document such as .xls",
    mark: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    kind: undefined,
  },
];

/** How many first bytes `assertFormat` looks at. */
export const FORMAT_SNIFF_BYTES = 512;

/**
 * Throws `parse.malformed`, proposing the setting, when the first bytes of a file surely are of another format
 * than the settings say. What could be either passes: its parser knows better.
 */
export function assertFormat(head: Uint8Array, { kind }: { readonly kind: FormatKind }): void {
  const seen = detectFormat(head);
  if (seen === undefined || seen.kind === kind) return;
  // An HTML page may be read as XML, by who says so.
  if (seen === HTML && kind === "xml") return;
  if (seen.kind === "delimited" && kind === "json") {
    assertNoTable(head);
    return;
  }
  // Delimited text may look like anything that is text; only binary formats are surely not text.
  if (seen.kind === "delimited" && kind !== "parquet" && kind !== "avro") return;
  const remedy =
    seen.kind === undefined
      ? "This format is not read: send another file."
      : `Set the format to ${seen.kind}.`;
  throw new StageError(
    "parse",
    "malformed",
    `The format is set to ${kind}; the bytes are ${seen.words}. ${remedy}`,
    {
      byteOffset: 0,
      seen: seen.words,
      expected: kind,
      ...(seen.kind === undefined ? {} : { proposed: [{ setting: "format", value: seen.kind }] }),
    },
  );
}

/** A web page, most often one that tells of an error, in the place of a file. */
const HTML: SeenFormat = { words: "an HTML page", kind: undefined };

/**
 * Refuses delimited text under the settings of JSON. No record of JSON begins but with a brace or a bracket: text none of whose
 * lines does, and whose first one has a delimiter, is no JSON with a broken line.
 */
function assertNoTable(head: Uint8Array): void {
  const lines = textOf(head).split(/[\r\n]+/);
  if (lines.some((line) => /^\s*[[{]/.test(line))) return;
  const [first = ""] = lines;
  const counts = DELIMITERS.map((delimiter) => first.split(delimiter).length - 1);
  const most = Math.max(...counts);
  if (most === 0) return;
  const delimiter = DELIMITERS[counts.indexOf(most)] ?? ",";
  const format = { setting: "format", value: "delimited" } as const;
  throw new StageError(
    "parse",
    "malformed",
    "The bytes are no JSON but delimited text. Set the format to delimited.",
    {
      byteOffset: 0,
      seen: "delimited text",
      expected: "json",
      proposed:
        delimiter === ","
          ? [format]
          : [format, { setting: "delimited.delimiter", value: delimiter }],
    },
  );
}

/** The most usual ones; of two that stand equally often the first is taken. */
const DELIMITERS = [",", ";", "\t", "|"];

/** The format that a file's first `FORMAT_SNIFF_BYTES` surely are of; undefined when they could be anything. */
export function detectFormat(head: Uint8Array): SeenFormat | undefined {
  const marked = MARKS.find(({ mark }) => startsWith(head, mark));
  // A text may begin with the letters of a mark; files of these formats have bytes that no text has, but for PDF,
  // whose mark no table begins with.
  if (marked !== undefined && (marked.words === "PDF" || !isText(head))) return marked;
  const text = textOf(head);
  if (/^<(!DOCTYPE\s+html|html[\s>])/i.test(text)) return HTML;
  if (/^<(\?xml|!DOCTYPE|[A-Za-z_][\w:.-]*[\s/>])/.test(text)) return { words: "XML", kind: "xml" };
  if (/^\[?\s*\{\s*("(?:[^"\\\n]|\\.)*"\s*:|\})/.test(text)) return { words: "JSON", kind: "json" };
  return head.byteLength > 0 && isText(head) ? { words: "text", kind: "delimited" } : undefined;
}

function startsWith(head: Uint8Array, text: string): boolean {
  return Buffer.from(head.subarray(0, text.length)).toString("latin1") === text;
}

const isUtf16 = (head: Uint8Array): boolean =>
  startsWith(head, "\xff\xfe") || startsWith(head, "\xfe\xff");

/** Whether there is no byte that text has not. */
function isText(head: Uint8Array): boolean {
  return isUtf16(head) || head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

/** The first characters without byte order mark and blanks, as far as UTF-8 and UTF-16 can be told. */
function textOf(head: Uint8Array): string {
  const bytes = Buffer.from(head);
  const text = isUtf16(head)
    ? bytes.subarray(2).toString("latin1").replaceAll("\0", "")
    : bytes.toString("utf8");
  return text.replace(/^\uFEFF/, "").trimStart();
}
