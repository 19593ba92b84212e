import assert from "node:assert/strict";
import fc from "fast-check";
import { GlasshouseError } from "../domain/errors.ts";
import type { SearchDocument } from "../domain/search-document.ts";
import { indexedText } from "../domain/search-index.ts";
import { parseSearch, type SearchNode } from "../domain/search-query.ts";
import { keyWord } from "../domain/search-words.ts";
import { documentOf, type FoundThing } from "../ports/search.ts";
import type { Store } from "../ports/store.ts";

const pieces = [
  ..."web shop server cafe CAFÉ inst* db_host aws_instance.web-1 443 12 a* i-0abc nothing".split(
    " ",
  ),
  ...`"web 1" "web 1"* "of the" "it's" "quoted here" name:web name:shop* name:"web 1"`.split(" "),
  ...`kind:observed kind:resource type:aws_* type:consul_key tag:team tag:side=b* group:servers`.split(
    " ",
  ),
  ...`template:web* NEAR ^x a:b {x} ' " \\ ; -- - OR OR AND ( ) -( -web | & ! <-> :* * é ½`.split(
    " ",
  ),
];

/**
 * Whatever is asked for, a store finds what a plain reading of the query finds, word by word; or the query is refused by
 * name. The things are those that the store has.
 */
export async function holdsToTheLanguage(store: Store): Promise<void> {
  const things = await found(store, "kind:template OR -kind:template");
  const documents = things.map((thing) => wordsOfThing(documentOf(thing)));
  assert.ok(documents.length > 5);
  const texts = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 6 });
  let understood = 0;
  for (const parts of fc.sample(texts, { numRuns: 300, seed: 20_261_126 })) {
    const query = parts.join(" ");
    const node = parsed(query);
    if (node === null) continue;
    understood += 1;
    const expected = things.filter((_, at) => fits(node, documents[at] ?? []));
    assert.deepEqual(await found(store, query), expected, query);
  }
  assert.ok(understood > 50, `only ${understood} queries were understood`);
}

function parsed(query: string): SearchNode | null {
  try {
    return parseSearch(query);
  } catch (error) {
    if (error instanceof GlasshouseError && error.code === "invalid-request") return null;
    throw error;
  }
}

async function found(store: Store, query: string): Promise<readonly FoundThing[]> {
  const page = { limit: 100, cursor: null };
  const { items } = await store.search((tx) => tx.searches.find(parseSearch(query), [], page));
  return items;
}

/** First the words of the name, then the others. */
function wordsOfThing(document: SearchDocument): readonly (readonly string[])[] {
  const { name, text } = indexedText(document);
  return [name, text];
}

function fits(node: SearchNode, texts: readonly (readonly string[])[]): boolean {
  switch (node.kind) {
    case "all":
      return node.of.every((each) => fits(each, texts));
    case "any":
      return node.of.some((each) => fits(each, texts));
    case "not":
      return !fits(node.of, texts);
    case "key": {
      const word = keyWord(node.field, node.value);
      return texts.some((text) => stand(text, [word], node.prefix));
    }
    case "words": {
      const { words, prefix, inName } = node;
      return texts.some((text, at) => (at === 0 || !inName) && stand(text, words, prefix));
    }
    case "status":
      return false;
  }
}

function stand(text: readonly string[], words: readonly string[], prefix: boolean): boolean {
  return text.some((_, at) =>
    words.every((word, index) => {
      const there = text[at + index];
      return there === word || (prefix && index === words.length - 1 && there?.startsWith(word));
    }),
  );
}
