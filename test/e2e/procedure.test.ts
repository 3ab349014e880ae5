import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { npmStart, type Product } from "./npm-start.ts";

const SCRIPT = fileURLToPath(new URL("../procedure/main.mjs", import.meta.url));
const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));

let dataDir: string;
let product: Product;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "sluice-procedure-"));
  product = await npmStart(dataDir);
});
afterAll(async () => {
  await product[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

it("a client made of the .proto files by gRPC's own tooling goes through the whole procedure (SC-8, CO-5, CO-6, CO-7, CR-14, CR-20, CR-22, CR-24, CR-25, PV-4, RU-1)", async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [SCRIPT, product.url, PROTO, product.adminKeyFile],
    {
      timeout: 120_000,
    },
  );
  const steps = stdout.trim().split("\n");
  expect(steps.at(-1)).toBe(`${steps.length - 1} steps, all as they should be`);
  expect(steps.length).toBeGreaterThan(14);
});
