import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { COMMENTS, SERVICES } from "@sluice/api/control/v1/catalog";

/** A method of the API and the two words that call it: `feed create`. */
export interface ApiMethod {
  readonly noun: string;
  readonly verb: string;
  readonly desc: DescMethod;
}

/** Nouns that people would not guess from the service's name. */
const NOUNS: Readonly<Record<string, string>> = {
  DomainTableService: "table",
  CustomDomainTableService: "custom-table",
  CourierGroupService: "group",
};

/** Every method of every service. */
export const METHODS: readonly ApiMethod[] = SERVICES.flatMap((service) =>
  service.methods.map((desc) => ({
    noun: nounOf(service),
    verb: withoutGet(verbOf(desc), desc),
    desc,
  })),
);

export function nounOf(service: DescService): string {
  return NOUNS[service.name] ?? kebab(service.name.replace(/Service$/, ""));
}

/** CreateFeed of FeedService is `create`, GetTrustPolicy of CredentialService `trust-policy`. */
function verbOf(method: DescMethod): string {
  const resource = kebab(method.parent.name.replace(/Service$/, ""));
  const words = `-${kebab(method.name)}-`;
  return words.replace(new RegExp(`-${resource}(s|es)?-`), "-").slice(1, -1);
}

/** `run` of GetCourierGroupRun would hide the one of RunCourierGroup. */
function withoutGet(verb: string, method: DescMethod): string {
  const short = verb.replace(/^get-(?=.)/, "");
  const isTaken = method.parent.methods.some((other) => verbOf(other) === short);
  return isTaken ? verb : short;
}

export function kebab(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase();
}

/** Service/Method, the full name of either, or nothing. The case does not matter. */
export function findMethod(name: string): ApiMethod | undefined {
  const [service = "", method] = name.replace(/^\/?(sluice\.control\.v1\.)?/i, "").split("/");
  return METHODS.find(
    ({ desc }) =>
      desc.parent.name.toLowerCase() === service.toLowerCase() &&
      desc.name.toLowerCase() === method?.toLowerCase(),
  );
}

export function methodName({ desc }: ApiMethod): string {
  return `${desc.parent.name}/${desc.name}`;
}

/** What the .proto files say about something, by its full name. */
export function commentOf(fullName: string): string {
  return COMMENTS[fullName] ?? "";
}
