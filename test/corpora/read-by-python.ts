import { spawnSync } from "node:child_process";

const SCRIPT = `
import base64, json, sys, tarfile, zipfile
path = sys.argv[1]
found = {}
if path.endswith(".zip"):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                found[info.filename] = base64.b64encode(archive.read(info)).decode()
else:
    with tarfile.open(path) as archive:
        for info in archive:
            if info.isfile():
                found[info.name] = base64.b64encode(archive.extractfile(info).read()).decode()
json.dump(found, sys.stdout)
`;

/** An archive's files as Python's standard library reads them; undefined when it can't, or is not there. */
export function readByPython(path: string): Map<string, Uint8Array> | undefined {
  const { status, stdout } = spawnSync("python3", ["-c", SCRIPT, path], {
    maxBuffer: 2 ** 28,
    timeout: 10_000,
  });
  if (status !== 0) return undefined;
  const found: Record<string, string> = JSON.parse(stdout.toString());
  return new Map(
    Object.entries(found).map(([name, content]) => [name, Buffer.from(content, "base64")]),
  );
}
