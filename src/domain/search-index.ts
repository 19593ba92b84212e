import type { SearchDocument, SearchKeys, SearchSection } from "./search-document.ts";
import { anyThing, keyWord, wordsOf } from "./search-words.ts";

/** Words of a document that are indexed; what comes after them is not found. */
export const indexedWords = 1_000;

/** Beyond so many of the same word in one document engines lose count of where they stand. */
const sameWord = 200;

/** Between two texts, so that no phrase goes from one into the next. No query has it. */
export const separator = "_";

/** What a store keeps of a document: words in order, and `separator`s. */
export interface IndexedText {
  readonly name: readonly string[];
  readonly text: readonly string[];
}

export function indexedText(document: SearchDocument): IndexedText {
  const room = { left: indexedWords, seen: new Map<string, number>() };
  const name = sectionWords(document.name, room);
  const text = sectionWords(document.text, room);
  return { name, text: [...text, ...keyWords(document.kind, document.keys)] };
}

function sectionWords(
  sections: readonly SearchSection[],
  room: { left: number; readonly seen: Map<string, number> },
): readonly string[] {
  return sections.flatMap(({ text }) => {
    const kept: string[] = [];
    for (const word of wordsOf(text.slice(0, room.left * maximumCharacters))) {
      if (room.left <= 0) break;
      const times = room.seen.get(word) ?? 0;
      if (times >= sameWord) continue;
      room.seen.set(word, times + 1);
      room.left -= 1;
      kept.push(word);
    }
    return kept.length === 0 ? [] : [...kept, separator];
  });
}

/** Of a text per word that may still be indexed: what is longer is not gone through. */
const maximumCharacters = 100;

function keyWords(kind: string, keys: SearchKeys): readonly string[] {
  const { environment, template = [], group, type, tags = {} } = keys;
  const words = [
    anyThing,
    keyWord("kind", kind),
    ...(environment === undefined ? [] : [keyWord("environment", environment)]),
    ...template.map((name) => keyWord("template", name)),
    ...(group === undefined ? [] : [keyWord("group", group)]),
    ...(type === undefined ? [] : [keyWord("type", type)]),
    ...Object.entries(tags).flatMap(([key, value]) => [
      keyWord("tag", key),
      keyWord("tag", `${key}=${value}`),
    ]),
  ];
  return [...new Set(words)];
}
