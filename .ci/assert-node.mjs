// Stops a script that would otherwise go on under the system's Node: the project's own comes with the
// packages, and is missing only where npm has none for the platform.
const [major] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(
    `Sluice runs on Node 24 or newer, and this is ${process.version}. npm has no Node for ${process.platform}-${process.arch}: install Node 24 and try again.`,
  );
  process.exit(1);
}
