// Checks what the lockfile brings: each licence must be on the list of .ci/dependencies.json, and so must each advisory
// that the registry knows of what is shipped, by its id, with a reason. A registry that does not answer is said loudly,
// and fails nothing: advisories are then not checked.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const allowed = JSON.parse(readFileSync(new URL("dependencies.json", import.meta.url), "utf8"));
const faults = [...licenceFaults(), ...advisoryFaults()];
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

function pnpm(...arguments_) {
  return spawnSync("pnpm", arguments_, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}

function licenceFaults() {
  const { stdout, stderr, status } = pnpm("--recursive", "licenses", "list", "--json");
  if (status !== 0) return [`pnpm licenses failed: ${stderr || stdout}`];
  const found = Object.entries(JSON.parse(stdout));
  const packages = found.flatMap(([, each]) => each);
  if (packages.length < 50) return [`pnpm licenses saw ${packages.length} packages: too few`];
  console.log(`${packages.length} packages under ${found.length} licences`);
  return found
    .filter(([licence]) => !allowed.licences.includes(licence))
    .map(
      ([licence, each]) => `${licence} is not allowed: ${each.map(({ name }) => name).join(", ")}`,
    );
}

function advisoryFaults() {
  const { stdout, stderr } = pnpm("audit", "--prod", "--json");
  const report = parse(stdout);
  if (report?.advisories === undefined) {
    const [why = "no answer"] = `${stderr}${stdout}`.match(/ERR_[A-Z_]+|responded with \d+/g) ?? [];
    console.error("=".repeat(78));
    console.error(`NOT CHECKED: the registry did not say which advisories there are (${why}).`);
    console.error("=".repeat(78));
    return [];
  }
  return Object.values(report.advisories)
    .filter(({ github_advisory_id: id }) => allowed.advisories[id] === undefined)
    .map(
      ({ github_advisory_id: id, module_name: name, severity, title }) =>
        `${id} ${severity} ${name}: ${title}`,
    );
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
