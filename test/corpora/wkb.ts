/** Names of shapes by their number in WKB, and how deep their coordinates are nested; collections have parts instead. */
const SHAPES: Readonly<
  Record<number, readonly [name: string, kind: "point" | "line" | "rings" | "parts"]>
> = {
  1: ["Point", "point"],
  2: ["LineString", "line"],
  3: ["Polygon", "rings"],
  4: ["MultiPoint", "parts"],
  5: ["MultiLineString", "parts"],
  6: ["MultiPolygon", "parts"],
  7: ["GeometryCollection", "parts"],
};

interface Shape {
  readonly type: string;
  readonly coordinates?: unknown;
  readonly geometries?: readonly unknown[];
}

/** Well-known binary (OGC Simple Features, with Z and M by ISO or by flags) as GeoJSON: what the truth of shapes is written in. */
export function wkbToGeoJson(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;

  const shape = (): Shape => {
    const isLittle = view.getUint8(at) === 1;
    const code = view.getUint32(at + 1, isLittle);
    at += 5;
    const { kind, name, dimensions, hasId } = describe(code);
    if (hasId) at += 4;
    const count = (): number => {
      at += 4;
      return view.getUint32(at - 4, isLittle);
    };
    const point = (): number[] =>
      Array.from({ length: dimensions }, () => {
        at += 8;
        return view.getFloat64(at - 8, isLittle);
      });
    const line = (): number[][] => Array.from({ length: count() }, point);
    switch (kind) {
      case "point": {
        const coordinates = point();
        return { type: name, coordinates: coordinates.every(Number.isNaN) ? [] : coordinates };
      }
      case "line":
        return { type: name, coordinates: line() };
      case "rings":
        return { type: name, coordinates: Array.from({ length: count() }, line) };
      case "parts": {
        const parts = Array.from({ length: count() }, shape);
        return name === "GeometryCollection"
          ? { type: name, geometries: parts }
          : { type: name, coordinates: parts.map(({ coordinates }) => coordinates) };
      }
    }
  };
  return shape();
}

function describe(code: number): {
  readonly name: string;
  readonly kind: "point" | "line" | "rings" | "parts";
  readonly dimensions: number;
  readonly hasId: boolean;
} {
  const plain = code & 0x0fffffff;
  const iso = Math.floor(plain / 1000);
  const [name, kind] = SHAPES[plain % 1000] ?? ["", "point"];
  const more = (code & 0x80000000 ? 1 : 0) + (code & 0x40000000 ? 1 : 0);
  const dimensions = 2 + Math.max(more, iso === 3 ? 2 : iso === 0 ? 0 : 1);
  return { name, kind, dimensions, hasId: (code & 0x20000000) !== 0 };
}
