// Prints `N passed, N failed` from vitest's report. Whatever failed outside of a test counts as one failure.
import { existsSync, readFileSync } from "node:fs";

const status = Number(process.argv[2]);
let passed = 0;
let failed = 0;
if (existsSync(".tsbuild/test-report.json")) {
  const report = JSON.parse(readFileSync(".tsbuild/test-report.json", "utf8"));
  passed = report.numPassedTests;
  failed = report.numFailedTests;
}
if (failed === 0 && (status !== 0 || passed === 0)) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
