import type { SearchDocument, SearchSection } from "./search-document.ts";
import type { SearchNode, SearchWords } from "./search-query.ts";
import { wordPlaces } from "./search-words.ts";

/** Where a query's words stand in a thing. */
export interface SearchMatch {
  /** `name`, `description`, `tags.<key>`, `address`, `attributes.<path>`, … */
  readonly field: string;
  /** That text, or what is around the words. */
  readonly excerpt: string;
}

/** Fields that are told of one thing at most. */
const mostMatches = 3;

/** Characters of an excerpt, and those of them that come before the words. */
const excerptLength = 120;
const lead = 40;

/** Which of a thing's texts hold words of the query; none when it was found by fields alone. */
export function searchMatches(document: SearchDocument, query: SearchNode): readonly SearchMatch[] {
  const wanted = wantedWords(query);
  const found = [
    ...document.name.map((section) => matchOf(section, wanted)),
    ...document.text.map((section) =>
      matchOf(
        section,
        wanted.filter(({ inName }) => !inName),
      ),
    ),
  ];
  return found.filter((match) => match !== null).slice(0, mostMatches);
}

function wantedWords(node: SearchNode): readonly SearchWords[] {
  switch (node.kind) {
    case "all":
    case "any":
      return node.of.flatMap((each) => wantedWords(each));
    case "words":
      return [node];
    case "not":
    case "key":
    case "status":
      return [];
  }
}

function matchOf(section: SearchSection, wanted: readonly SearchWords[]): SearchMatch | null {
  const places = [...wordPlaces(section.text)];
  const starts = wanted.flatMap((one) => {
    const first = places.findIndex((_, at) => standsAt(places, at, one));
    return first < 0 ? [] : [places[first]?.start ?? 0];
  });
  if (starts.length === 0) return null;
  return { field: section.field, excerpt: excerptAt(section.text, Math.min(...starts)) };
}

function standsAt(
  places: readonly { readonly word: string }[],
  at: number,
  { words, prefix }: SearchWords,
): boolean {
  return words.every((word, index) => {
    const there = places[at + index]?.word;
    const mayGoOn = prefix && index === words.length - 1;
    return there === word || (mayGoOn && there?.startsWith(word) === true);
  });
}

function excerptAt(text: string, start: number): string {
  if (text.length <= excerptLength) return text.replaceAll(/\s+/gu, " ").trim();
  const from = Math.max(0, Math.min(start - lead, text.length - excerptLength));
  const cut = text
    .slice(from, from + excerptLength)
    .replaceAll(/\s+/gu, " ")
    .trim();
  return `${from > 0 ? "…" : ""}${cut}${from + excerptLength < text.length ? "…" : ""}`;
}
