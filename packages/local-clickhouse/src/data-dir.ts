import { join, resolve } from "node:path";

/** Where things lie under a server's data directory; all paths absolute, as the engine wants them. */
export interface DataDir {
  readonly root: string;
  /** Locked by the process that serves the directory, with its pid as content. */
  readonly lock: string;
  /** The users' passwords, made once. */
  readonly passwords: string;
  readonly config: string;
  readonly users: string;
  /** Written by the server once it listens: which ports it got. */
  readonly ports: string;
  /** The pipe that keeps the engine serving. */
  readonly pipe: string;
  readonly tables: string;
  readonly log: string;
  /** What the process printed, such as the engine's last words before a crash. */
  readonly output: string;
}

export function dataDirAt(path: string): DataDir {
  const root = resolve(path);
  return {
    root,
    lock: join(root, "lock"),
    passwords: join(root, "passwords.json"),
    config: join(root, "config.xml"),
    users: join(root, "users.xml"),
    ports: join(root, "ports.json"),
    pipe: join(root, "pipe"),
    tables: join(root, "tables"),
    log: join(root, "logs", "clickhouse.log"),
    output: join(root, "logs", "output.log"),
  };
}
