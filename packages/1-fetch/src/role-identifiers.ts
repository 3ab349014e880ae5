/**
 * Whether a text may be an external id that this product hands out (CR-7): 2 to 1,224
 * letters, digits and `+ = , . @ : / -`, no white space.
 */
export function isExternalId(text: string): boolean {
  return /^[A-Za-z0-9+=,.@:/-]{2,1224}$/.test(text);
}

/** Whether STS takes a text as an external id: as above, and the underscore. */
export function isExternalIdForSts(text: string): boolean {
  return /^[\w+=,.@:/-]{2,1224}$/.test(text);
}

const ROLE_ARN =
  /^arn:(aws[a-z-]*):iam::(\d{12}):role\/((?:[\x21-\x7e]{1,510}\/)?)([\w+=,.@-]{1,64})$/;

/** The parts of a role's ARN. */
export interface RoleArn {
  readonly partition: string;
  readonly account: string;
  /** Without its path. */
  readonly roleName: string;
}

/** Reads `arn:aws:iam::<account>:role/<path/><name>`; undefined when it is anything else. */
export function parseRoleArn(text: string): RoleArn | undefined {
  const match = ROLE_ARN.exec(text);
  if (match === null) return undefined;
  const [, partition = "", account = "", , roleName = ""] = match;
  return { partition, account, roleName };
}

/** Whether a text is the ARN of an IAM role. */
export function isRoleArn(text: string): boolean {
  return parseRoleArn(text) !== undefined;
}

/** Whether a caller's ARN, as GetCallerIdentity gives it, is a session of the role. */
export function isSessionOfRole(callerArn: string, roleArn: string): boolean {
  const role = parseRoleArn(roleArn);
  const caller = /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(callerArn);
  if (role === undefined || caller === null) return false;
  const [, partition, account, roleName] = caller;
  return partition === role.partition && account === role.account && roleName === role.roleName;
}

/** A session name that STS takes: 2 to 64 of `[\w+=,.@-]`, other characters turned into hyphens. */
export function toSessionName(text: string): string {
  return text
    .replace(/[^\w+=,.@-]/g, "-")
    .slice(0, 64)
    .padEnd(2, "-");
}
