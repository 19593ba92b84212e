/** What every store agrees on: how text becomes words. Stores index these words and never split text by rules of their own. */

/** Characters of a word that count; what follows is cut off, in what is searched and in what is searched for. */
export const wordLength = 64;

/** Small letters without accents, compatible forms as one: `Straßen-Café Ⅷ` and `straßen-cafe viii` are the same. */
export function folded(text: string): string {
  if (isPlain(text)) return text.toLowerCase();
  const plain = text
    .toLowerCase()
    .normalize("NFKD")
    .replaceAll(/\p{M}+/gu, "");
  const again = plain.toLowerCase();
  return again === text ? text : folded(again);
}

/**
 * The words of a text, in order: runs of letters and digits. So `aws_instance.web-1` has four, and is found by any of them, and
 * by all of them as a phrase.
 */
export function wordsOf(text: string): readonly string[] {
  if (isPlain(text)) return (text.toLowerCase().match(plainWords) ?? []).map(cut);
  return [...wordPlaces(text)].map(({ word }) => word);
}

/** As `wordsOf`, each with where it stands in the text. */
export function* wordPlaces(
  text: string,
): Generator<{ readonly word: string; readonly start: number; readonly end: number }> {
  // Marks belong to the letter before them, and folding removes them.
  for (const found of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const end = found.index + found[0].length;
    // Few characters fold to several words: ½ is 1 and 2.
    for (const [word] of folded(found[0]).matchAll(/[\p{L}\p{N}]+/gu))
      yield { word: cut(word), start: found.index, end };
  }
}

const plainWords = /[a-z0-9]+/gu;

/** Nothing but ASCII, as nearly all is: there are no marks and no other forms. It halves the time. */
function isPlain(text: string): boolean {
  return /^[\0-\u007f]*$/u.test(text);
}

function cut(word: string): string {
  return word.length <= wordLength ? word : Array.from(word).slice(0, wordLength).join("");
}

/** Names of what a thing can be asked by as a whole, in place of its words. */
export type KeyField = "kind" | "environment" | "template" | "group" | "type" | "tag";

const prefixes: Readonly<Record<KeyField, string>> = {
  kind: "k_",
  environment: "e_",
  template: "t_",
  group: "g_",
  type: "y_",
  tag: "v_",
};

/** Every indexed thing has it. */
export const anyThing = "a_";

const keyLength = 128;

/**
 * A word that stands for a field with a value. No word of a text has a `_` in it. Values that begin alike give words that
 * begin alike.
 */
export function keyWord(field: KeyField, value: string): string {
  const shown = Array.from(folded(value)).slice(0, keyLength).join("");
  // Not a letter, a digit or beyond ASCII: each engine would split there by its own rules.
  const safe = shown.replaceAll(
    /[\0-/:-`{-\u{a0}\p{Z}\p{C}]/gu,
    (character) => `_${(character.codePointAt(0) ?? 0).toString(16)}_`,
  );
  return prefixes[field] + safe;
}
