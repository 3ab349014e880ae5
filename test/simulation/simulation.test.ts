import { describe, expect, test } from "vitest";
import { SABOTAGES, type Sabotage, simulate } from "./simulate.ts";

/**
 * Seeds that end badly when a mend is undone: 301 and 588 without the name that an exchange in doubt gets, 98 and 178
 * without the sweep, 24 and 78 without the drop of parts that stand in both tables. 4170 and 8310 found their faults once.
 */
const FOUND = ["24", "78", "98", "178", "301", "588", "4170", "8310"];

/** Seeds whose stories end badly without one of the product's guards. */
const BAD_WITHOUT: Record<Sabotage, readonly string[]> = {
  "no deduplication": ["262", "708", "1511"],
  "no fencing": ["1231", "1384", "2145"],
  "blind exchange": ["24", "63", "202"],
};

const SEEDS = 400;

describe("stories of workflows, workers, control and ClickHouse that die, sleep and lose words", () => {
  test("end well, with each row there once, and nothing left behind", {
    timeout: 300_000,
  }, async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const { violations } = await simulate(String(seed));
      expect({ seed, violations }).toEqual({ seed, violations: [] });
    }
  });

  test.each(FOUND)("end well also by the seed %s, which found a fault", async (seed) => {
    const { violations, statements } = await simulate(seed);
    expect(violations).toEqual([]);
    expect(statements).toBeGreaterThan(10);
  });

  test("are the same whenever they are played", async () => {
    const [one, other] = [await simulate("3"), await simulate("3")];
    expect(one.log).toEqual(other.log);
    expect(one.log.length).toBeGreaterThan(10);
  });
});

describe("a story that ends badly is told", () => {
  for (const sabotage of SABOTAGES) {
    test.each(BAD_WITHOUT[sabotage])(`${sabotage}: seed %s`, async (seed) => {
      expect((await simulate(seed, sabotage)).violations).not.toEqual([]);
    });
  }
});
