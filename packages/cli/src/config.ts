import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { CommanderError } from "commander";
import { assertPrivate } from "./api-key.ts";
import { usageError } from "./usage.ts";

/** An installation of Sluice that commands can talk to. */
export interface Profile {
  /** The API's address. */
  readonly url: string;
  /** An API key for it. */
  readonly key?: string;
}

/** What the profile file holds. */
export interface Profiles {
  /** The profile that is used when none is named. */
  readonly current?: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_URL = "http://127.0.0.1:8080";

/** SLUICE_CONFIG, or sluice/config.json in XDG_CONFIG_HOME, or in ~/.config. */
export function profileFile(env: Environment): string {
  const base = env.XDG_CONFIG_HOME || join(env.HOME ?? homedir(), ".config");
  return env.SLUICE_CONFIG || join(base, "sluice", "config.json");
}

/** The profile file's content; nothing where there is no file. */
export function readProfiles(env: Environment): Profiles {
  const file = profileFile(env);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return { profiles: {} };
    }
    throw error;
  }
  try {
    const profiles = toProfiles(JSON.parse(text));
    if (Object.values(profiles.profiles).some(({ key }) => key !== undefined)) assertPrivate(file);
    return profiles;
  } catch (error) {
    if (error instanceof CommanderError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw usageError(`${file} is not a profile file: ${reason}`);
  }
}

export function writeProfiles(env: Environment, profiles: Profiles): void {
  const file = profileFile(env);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // It may hold keys. An older file keeps its mode when it is written: so it is set before as well.
  writeFileSync(file, "", { flag: "a", mode: 0o600 });
  chmodSync(file, 0o600);
  writeFileSync(file, `${JSON.stringify(profiles, undefined, 2)}\n`);
}

/** Where to call: --url, SLUICE_URL, the profile of --profile, of SLUICE_PROFILE, the current one, this machine. */
export function findProfile(
  env: Environment,
  options: { readonly url?: string | undefined; readonly profile?: string | undefined },
): Profile {
  const url = options.url ?? (options.profile === undefined ? env.SLUICE_URL : undefined);
  if (url) return { url: assertUrl(url) };
  const { current, profiles } = readProfiles(env);
  const name = options.profile ?? (env.SLUICE_PROFILE || current);
  if (name === undefined) return { url: DEFAULT_URL };
  const profile = profiles[name];
  if (profile === undefined) {
    const known = Object.keys(profiles).join(", ") || "none";
    throw usageError(`there is no profile ${name} in ${profileFile(env)}; there are: ${known}`);
  }
  return profile;
}

export function assertUrl(url: string): string {
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw usageError(`${url} is not an address like ${DEFAULT_URL}`);
  }
  return url;
}

function toProfiles(value: unknown): Profiles {
  if (!isObject(value) || !isObject(value.profiles)) throw new Error('"profiles" is missing');
  const profiles = Object.entries(value.profiles).map(([name, profile]): [string, Profile] => {
    if (!isObject(profile) || typeof profile.url !== "string") {
      throw new Error(`profiles.${name}.url is missing`);
    }
    const { url, key } = profile;
    return [name, { url: assertUrl(url), ...(typeof key === "string" ? { key } : {}) }];
  });
  return {
    ...(typeof value.current === "string" ? { current: value.current } : {}),
    profiles: Object.fromEntries(profiles),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
