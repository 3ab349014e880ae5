import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { run } from "./terminal.ts";

/** Which key a command shows, to whom. */

const folder = mkdtempSync(join(tmpdir(), "sluice-shown-"));
const seen: (string | null)[] = [];
let server: Http2Server;
let url: string;

beforeAll(async () => {
  server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(SourceService, {
          listPlugins: (_, { requestHeader }) => {
            const authorization = requestHeader.get("authorization");
            seen.push(authorization);
            if (authorization === null) throw new ConnectError("no key", Code.Unauthenticated);
            return {};
          },
        }),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});
beforeEach(() => void seen.splice(0));

function keyFile(name: string, mode = 0o600): string {
  const path = join(folder, `${name}.key`);
  writeFileSync(path, `canary-${name}\n`);
  chmodSync(path, mode);
  return path;
}

/** A data directory as npm start leaves it. */
function dataDir(): string {
  const path = join(folder, "data");
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "admin.key"), "canary-here\n", { mode: 0o600 });
  return path;
}

async function shown(args: readonly string[], env: Record<string, string> = {}): Promise<unknown> {
  const { out, err } = await run(["source", "list-plugins", ...args], {
    env: { HOME: folder, SLUICE_DATA_DIR: join(folder, "nothing"), ...env },
  });
  expect(out + err).not.toContain("canary-");
  return seen.at(-1);
}

describe("the key that was named most closely is shown", () => {
  it("of a file, before the environment's", async () => {
    const args = ["--url", url, "--key-file", keyFile("file")];
    expect(await shown(args, { SLUICE_API_KEY: "canary-env" })).toBe("Bearer canary-file");
  });

  it("of the environment, before the one that npm start keeps", async () => {
    const env = { SLUICE_API_KEY: "canary-env", SLUICE_DATA_DIR: dataDir() };
    expect(await shown(["--url", url], env)).toBe("Bearer canary-env");
  });

  it("of this machine, to this machine alone", async () => {
    const env = { SLUICE_DATA_DIR: dataDir() };
    expect(await shown(["--url", url], env)).toBe("Bearer canary-here");
    const elsewhere = await run(["source", "list-plugins", "--url", "http://sluice.invalid:1"], {
      env: { HOME: folder, ...env },
    });
    expect(elsewhere.code).toBe(4);
    expect(seen).toHaveLength(1);
  });

  it("of a profile, to its address alone, from a file that nobody else can read", async () => {
    const env = { HOME: folder, XDG_CONFIG_HOME: join(folder, "config") };
    const set = ["profile", "set", "mine", url, "--key-file", keyFile("profile")];
    expect(await run(set, { env })).toEqual({ code: 0, out: "", err: "" });
    const file = join(folder, "config", "sluice", "config.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8")).profiles.mine.key).toBe("canary-profile");

    expect(await shown([], env)).toBe("Bearer canary-profile");
    const named = { ...env, SLUICE_API_KEY: "canary-env" };
    expect(await shown(["--profile", "mine"], named)).toBe("Bearer canary-profile");
    expect(await shown([], named)).toBe("Bearer canary-env");
    expect(await shown(["--url", url], env)).toBeNull();
    expect((await run(["profile", "list"], { env })).out).not.toContain("canary-");

    chmodSync(file, 0o644);
    const refused = await run(["source", "list-plugins"], { env });
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("chmod 600") });
  });
});

describe("what is no key is told before anything is called", () => {
  it.each([
    ["a file that is not there", () => join(folder, "nowhere"), "there is no such file"],
    ["a file that others can read", () => keyFile("open", 0o644), "chmod 600"],
    ["a file of something else", () => keyFile("two words"), "does not hold an API key"],
  ])("%s", async (_, file, said) => {
    const path = file();
    const result = await run(["source", "list-plugins", "--url", url, "--key-file", path], {
      env: { HOME: folder },
    });
    expect(result).toMatchObject({ code: 2, err: expect.stringContaining(said) });
    expect(result.err).not.toContain("canary-");
    expect(seen).toEqual([]);
  });
});

it("a refusal says how to name a key", async () => {
  const { code, err } = await run(["source", "list-plugins", "--url", url], {
    env: { HOME: folder, SLUICE_DATA_DIR: join(folder, "nothing") },
  });
  expect(code).toBe(1);
  expect(err).toContain("--key-file, SLUICE_API_KEY or a profile");
});
