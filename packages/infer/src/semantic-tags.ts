import { type Guess, guess } from "./guess.ts";

/** Names that fields often have, in lower case without marks between words, by what they mean. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "given-name": ["givenname", "firstname", "fname", "forename", "first"],
  surname: ["surname", "lastname", "lname", "familyname", "last"],
  "full-name": ["fullname", "name", "customername", "contactname"],
  "generational-suffix": ["generationalsuffix", "suffix", "namesuffix"],
  title: ["title", "salutation", "nameprefix"],
  email: ["email", "emailaddress", "mail", "emailaddr", "customeremail"],
  phone: ["phone", "phonenumber", "telephone", "tel", "mobile", "mobilephone", "cell", "phoneno"],
  address: ["address", "address1", "addressline1", "street", "street1", "streetaddress"],
  address2: ["address2", "addressline2", "street2"],
  city: ["city", "town", "locality"],
  state: ["state", "province", "region", "statecode"],
  postal: ["postal", "postalcode", "zip", "zipcode", "postcode"],
  country: ["country", "countrycode"],
  birthdate: ["birthdate", "birthday", "dateofbirth", "dob", "birthdt"],
  gender: ["gender", "sex"],
  company: ["company", "companyname", "organization", "organisation", "employer"],
  "create-dt": ["createdt", "createdat", "created", "createdate", "creationdate", "createddate"],
  "update-dt": [
    "updatedt",
    "updatedat",
    "updated",
    "updatedate",
    "lastupdated",
    "lastmodified",
    "modifiedat",
    "modifieddate",
  ],
};

const BY_NAME: ReadonlyMap<string, string> = new Map(
  Object.entries(NAMES).flatMap(([tag, names]) => names.map((name) => [name, tag] as const)),
);

/** What fields of this name mean; nothing for unknown ones. The name alone is looked at, never the values. */
export function semanticTagsOf(name: string): Guess<readonly string[]> {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  const tag = BY_NAME.get(plain);
  if (tag === undefined) return guess([], 0, "");
  return guess([tag], VAGUE.has(plain) ? 0.6 : 0.9, `fields named ${name} mostly hold this`);
}

/** Names that other things have as well. */
const VAGUE: ReadonlySet<string> = new Set(["first", "last", "name", "title", "state", "suffix"]);
