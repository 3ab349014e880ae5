import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const DEMO = fileURLToPath(new URL("../../services/local/src/demo/main.ts", import.meta.url));

test("the demo of the README ends well, with every figure as it should be", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [DEMO], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: "1" },
  });
  expect(stdout).toMatch(/\n *\d+ figures checked, 0 wrong\n/);
});
