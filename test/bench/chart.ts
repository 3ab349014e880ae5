import type { LoadResult } from "./result.ts";

const WIDTH = 760;
const LEFT = 120;
const RIGHT = 60;
const ROW = 26;
const TOP = 58;

/** A bar for each case: how often as fast as its peer, with a mark at what has to be reached. Readable on light and dark. */
export function chart(loads: readonly LoadResult[], caption: string): string {
  const highest = Math.max(1.2, ...loads.flatMap(({ ratio, to_reach }) => [ratio, to_reach]));
  const x = (ratio: number): string =>
    (LEFT + (ratio / highest) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const height = TOP + loads.length * ROW + 16;
  const bars = loads.map(({ case: name, ratio, to_reach }, at) => {
    const y = TOP + at * ROW;
    const fill = ratio >= to_reach ? "#2f9e6e" : "#d9822b";
    return [
      `<text x="${LEFT - 8}" y="${y + 14}" text-anchor="end">${name}</text>`,
      `<rect x="${LEFT}" y="${y + 2}" width="${(Number(x(ratio)) - LEFT).toFixed(1)}" height="17" rx="2" fill="${fill}"/>`,
      `<path d="M${x(to_reach)} ${y}v21" stroke="#c0392b" stroke-width="2"/>`,
      `<text x="${Number(x(Math.max(ratio, to_reach))) + 6}" y="${y + 14}">${ratio.toFixed(2)}</text>`,
    ].join("");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Speed of Sluice beside its peers" font-family="system-ui, sans-serif" font-size="12" fill="#7a7f87">
<text x="${LEFT}" y="18" font-size="14" font-weight="600">Times as fast as the peer; right is faster</text>
<text x="${LEFT}" y="36">${escaped(caption)}; red: to reach</text>
<path d="M${x(1)} ${TOP - 10}V${height - 10}" stroke="#7a7f87" stroke-dasharray="3 3"/><text x="${x(1)}" y="${TOP - 12}" text-anchor="middle">1</text>
${bars.join("\n")}
</svg>
`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
