import { describe, expect, test } from "vitest";
import { inferFields, primaryKeyCandidates, type SampledColumn } from "../src/index.ts";

const column = (
  name: string,
  values: readonly (string | null)[],
  type = "Nullable(String)",
): SampledColumn => ({ name, values, type });

const fieldOf = (values: readonly (string | null)[], name = "x") => {
  const [field] = inferFields([column(name, values)]);
  if (field === undefined) throw new Error("no field");
  return field;
};

describe("types", () => {
  test.each<[string, string[], object]>([
    ["whole numbers", ["1", "-20", "9223372036854775807"], { type: { kind: "integer" } }],
    [
      "numbers of more than 64 bits",
      ["9223372036854775808"],
      { type: { kind: "decimal", scale: 0 } },
    ],
    ["numbers with leading zeros", ["01234", "99999"], { type: { kind: "string" } }],
    ["fractions", ["1.5", "2", "3.25"], { type: { kind: "decimal", precision: 38, scale: 2 } }],
    ["exponents", ["1e5", "2.5"], { type: { kind: "float" } }],
    [
      "commas between thousands",
      ["1,234.50", "12.00"],
      { type: { kind: "decimal", precision: 38, scale: 2 }, thousandsSeparator: "," },
    ],
    [
      "commas before the fraction",
      ["1.234,5", "0,25"],
      { type: { kind: "decimal", scale: 2 }, decimalSeparator: ",", thousandsSeparator: "." },
    ],
    ["words", ["true", "False"], { type: { kind: "boolean" } }],
    ["text", ["a", "1"], { type: { kind: "string" } }],
    ["yyyy-MM-dd", ["2024-02-29"], { type: { kind: "date" }, format: "yyyy-MM-dd" }],
    ["no such day", ["2023-02-29"], { type: { kind: "string" } }],
    ["MM/dd/yyyy first", ["01/02/2024"], { type: { kind: "date" }, format: "MM/dd/yyyy" }],
    ["dd/MM/yyyy", ["01/02/2024", "31/01/2024"], { type: { kind: "date" }, format: "dd/MM/yyyy" }],
    ["dd-MMM-yy", ["03-Jan-24"], { type: { kind: "date" }, format: "dd-MMM-yy" }],
    [
      "a time",
      ["2024-02-29 10:11:12"],
      { type: { kind: "datetime" }, format: "yyyy-MM-dd HH:mm:ss" },
    ],
    [
      "a zone",
      ["2024-02-29T10:11:12.123Z"],
      { type: { kind: "datetime" }, format: "yyyy-MM-dd'T'HH:mm:ss.SSSZ" },
    ],
  ])("of %s", (_, values, expected) => {
    expect(fieldOf(values)).toMatchObject(expected);
  });

  test("eight digits are a date where the name or the number of them says so", () => {
    expect(fieldOf(["20240229"], "birth_date")).toMatchObject({ format: "yyyyMMdd" });
    expect(fieldOf(["20240229"], "id").type).toEqual({ kind: "integer" });
  });

  test("dates of several documented forms have no format of their own", () => {
    const field = fieldOf(["2024-02-29", "01/02/2024"]);
    expect(field.type).toEqual({ kind: "date" });
    expect(field.format).toBeUndefined();
  });

  test("a column's own type comes first", () => {
    const types = ["Int32", "Nullable(Decimal(10, 2))", "DateTime64(3, 'UTC')", "Array(String)"];
    const fields = inferFields(types.map((type) => column(type, ["1"], type)));
    expect(fields.map(({ type }) => type.kind)).toEqual([
      "integer",
      "decimal",
      "datetime",
      "string",
    ]);
  });
});

describe("fields", () => {
  test("have a name of their own, their tags, their nulls and some values", () => {
    const [email, again] = inferFields([
      column("E-Mail", ["a@b.c", null, "a@b.c", ""]),
      column("e mail", ["x"]),
    ]);
    expect(email).toMatchObject({
      name: "E_Mail",
      semanticTags: ["email"],
      isNullable: true,
      nullShare: 0.25,
      sampleValues: ["a@b.c", ""],
    });
    expect(again?.name).toBe("e_mail_2");
  });

  test("say what speaks for their tags and for their being empty or not", () => {
    expect(fieldOf(["a", null], "e-mail")).toMatchObject({
      meaning: { value: ["email"], confidence: 0.9, evidence: expect.stringContaining("e-mail") },
      nullability: { value: true, confidence: 1, evidence: "1 of 2 rows have no value" },
    });
    // A name that other things have as well.
    expect(fieldOf(["a"], "name").meaning.confidence).toBe(0.6);
    expect(fieldOf(["a"], "no such").meaning).toEqual({ value: [], confidence: 0, evidence: "" });
    // That none of few rows is empty says little.
    const few = fieldOf(["a", "b"]).nullability;
    const many = fieldOf(Array.from({ length: 500 }, () => "a")).nullability;
    expect(few).toMatchObject({ value: false, confidence: 0.15 });
    expect(many.confidence).toBeGreaterThan(0.8);
  });

  test("of nested objects are taken by path, with every digit; arrays stay whole", () => {
    const fields = inferFields([
      column("customer", [
        '{"name":"Ann","address":{"zip.code":"01","no":9007199254740993},"tags":[1,2]}',
        null,
        '{"name":"Bob"}',
      ]),
      column("list", ['[{"a":1}]', "[]", null]),
    ]);
    expect(fields.map(({ path, name, values }) => [path, name, values])).toEqual([
      ["customer.name", "customer_name", ["Ann", null, "Bob"]],
      ['customer.address."zip.code"', "customer_address_zip_code", ["01", null, null]],
      ["customer.address.no", "customer_address_no", ["9007199254740993", null, null]],
      ["customer.tags", "customer_tags", ["[1,2]", null, null]],
      [undefined, "list", ['[{"a":1}]', "[]", null]],
    ]);
  });
});

describe("primary keys", () => {
  const ids = column("order_id", ["1", "2", "3", "4"]);
  test("are the fields that are unique, those named so first, with what was measured", () => {
    const fields = inferFields([
      column("note", ["a", "b", "c", "d"]),
      ids,
      column("city", ["x", "x", "y", "y"]),
    ]);
    expect(primaryKeyCandidates(fields)).toEqual([
      {
        fields: ["order_id"],
        uniqueShare: 1,
        confidence: 0.63,
        evidence: "4 keys in 4 rows, none of them empty, and the name is that of a key",
      },
      {
        fields: ["note"],
        uniqueShare: 1,
        confidence: 0.47,
        evidence: "4 keys in 4 rows, none of them empty",
      },
    ]);
  });

  test("are pairs where no single field is unique, and never have nulls", () => {
    const fields = inferFields([
      column("order_id", ["1", "1", "2", "2"]),
      column("line_no", ["1", "2", "1", "2"]),
      column("maybe", ["1", "2", "3", null]),
    ]);
    expect(primaryKeyCandidates(fields)).toMatchObject([
      { fields: ["order_id", "line_no"], uniqueShare: 1, confidence: 0.63 },
    ]);
  });

  test("are less certain where few rows speak for them, and hardly at all where one comes twice", () => {
    const numbers = (rows: number): string[] => Array.from({ length: rows }, (_, at) => `${at}`);
    const certainty = (values: readonly string[]): number | undefined =>
      primaryKeyCandidates(inferFields([column("id", values)]))[0]?.confidence;
    expect(certainty(numbers(2))).toBeLessThan(0.5);
    expect(certainty(numbers(500))).toBeGreaterThan(0.9);
    expect(certainty([...numbers(499), "0"])).toBe(0.1);
  });
});
