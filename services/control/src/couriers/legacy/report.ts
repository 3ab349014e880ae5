import { create } from "@bufbuild/protobuf";
import {
  type LegacyFinding,
  LegacyFinding_Severity,
  LegacyFindingSchema,
} from "@sluice/api/control/v1/legacy_import_pb";

/** Where something stands: `offset` in characters of the document, from 0. */
export interface Place {
  readonly document: string;
  readonly pointer: string;
  readonly offset: number;
}

type Tell = (place: Place, code: string, message: string, suggestion: string) => void;

/** Collects what a linter finds. */
export interface Report {
  readonly error: Tell;
  readonly warning: Tell;
  readonly info: Tell;
  readonly hasErrors: () => boolean;
  /** In the order of the documents, as they were named, and of places in them. */
  readonly findings: () => LegacyFinding[];
}

/** A report on documents, given by their names. */
export function createReport(documents: Readonly<Record<string, string>>): Report {
  const found: { readonly place: Place; readonly finding: LegacyFinding }[] = [];
  const order = Object.keys(documents);
  const tell =
    (severity: LegacyFinding_Severity): Tell =>
    (place, code, message, suggestion) => {
      const { document, pointer, offset } = place;
      const before = (documents[document] ?? "").slice(0, offset).split("\n");
      const isThere = documents[document] !== undefined;
      const finding = create(LegacyFindingSchema, {
        severity,
        code,
        document,
        pointer,
        line: isThere ? before.length : 0,
        column: isThere ? (before.at(-1)?.length ?? 0) + 1 : 0,
        message,
        suggestion,
      });
      found.push({ place, finding });
    };
  return {
    error: tell(LegacyFinding_Severity.ERROR),
    warning: tell(LegacyFinding_Severity.WARNING),
    info: tell(LegacyFinding_Severity.INFO),
    hasErrors: () => found.some(({ finding }) => finding.severity === LegacyFinding_Severity.ERROR),
    findings: () =>
      found
        .toSorted(
          (a, b) =>
            order.indexOf(a.place.document) - order.indexOf(b.place.document) ||
            a.place.offset - b.place.offset,
        )
        .map(({ finding }) => finding),
  };
}
