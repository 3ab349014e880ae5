const DOCTYPE = "DOCTYPE";
const COMMENT = "--";

/** Watches the text before the root element for a document type declaration. */
export interface PrologGuard {
  /**
   * Takes the document's next text; gives where in the whole text, in UTF-16 code units, a document type
   * declaration begins, as soon as its keyword is there, so that nothing of it is ever read; -1 for none.
   */
  scan(text: string): number;
}

/** Comments and instructions may hold the keyword; behind the root's `<` the parser itself refuses it. */
export function createPrologGuard(): PrologGuard {
  let state: "outside" | "open" | "bang" | "comment" | "instruction" | "done" = "outside";
  let keyword = "";
  let dashes = 0;
  let before = "";
  let taken = 0;
  let opened = 0;

  const step = (c: string, at: number): boolean => {
    switch (state) {
      case "outside":
        if (c === "<") {
          state = "open";
          opened = at;
        }
        break;
      case "open":
        keyword = "";
        state = c === "!" ? "bang" : c === "?" ? "instruction" : "done";
        before = "";
        break;
      case "bang":
        keyword += c;
        if (keyword.toUpperCase() === DOCTYPE) return true;
        if (keyword === COMMENT) {
          state = "comment";
          dashes = 0;
        } else if (!COMMENT.startsWith(keyword) && !DOCTYPE.startsWith(keyword.toUpperCase())) {
          state = "done";
        }
        break;
      case "comment":
        if (c === ">" && dashes >= 2) state = "outside";
        dashes = c === "-" ? dashes + 1 : 0;
        break;
      case "instruction":
        if (c === ">" && before === "?") state = "outside";
        before = c;
    }
    return false;
  };

  return {
    scan(text) {
      for (let i = 0; i < text.length && state !== "done"; i++) {
        if (step(text.charAt(i), taken + i)) return opened;
      }
      taken += text.length;
      return -1;
    },
  };
}
