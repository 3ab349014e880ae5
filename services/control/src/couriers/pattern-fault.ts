const DATE_PARTS = ["yyyy", "YYYY", "MM", "dd"];

/**
 * Why a text is no file pattern; undefined when it is one. Single quotes hold text, a doubled quote is
 * a quote; outside of quotes yyyy, MM and dd are parts of the date, and other letters mean nothing. The
 * stage that uses patterns parses them for good; this tells the person who writes one.
 */
export function patternFault(pattern: string): string | undefined {
  // Doubled quotes stand for themselves wherever they are; what is between single ones is text.
  const pieces = pattern.replaceAll("''", "").split("'");
  if (pieces.length % 2 === 0) {
    return "a single quote is opened and never closed";
  }
  const outside = pieces.filter((_, index) => index % 2 === 0);
  for (const [run] of outside.join("'").matchAll(/([A-Za-z])\1*/g)) {
    if (!DATE_PARTS.includes(run)) {
      return `${JSON.stringify(run)} is no part of a date; put text that stands for itself in single quotes`;
    }
  }
  return undefined;
}
