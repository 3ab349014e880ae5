/** How a command ends. Stable: scripts build on them. */
export const EXIT = {
  /** It did what was asked. */
  ok: 0,
  /** The service refused it, or it failed. */
  failed: 1,
  /** The command line, or a value in it, is wrong. */
  usage: 2,
  /** The workflow ended, and not with success. */
  workflowFailed: 3,
  /** The service can't be reached. */
  unreachable: 4,
  /** Ctrl-C. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
