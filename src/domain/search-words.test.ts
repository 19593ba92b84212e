import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { parseSearch } from "./search-query.ts";
import { environmentDocument, observedDocument } from "./search-document.ts";
import { searchMatches } from "./search-excerpt.ts";
import { indexedText, indexedWords, separator } from "./search-index.ts";
import { folded, keyWord, wordsOf } from "./search-words.ts";

const anything = fc.string({ unit: "binary", maxLength: 60 });

suite("Words of search", () => {
  test("names are split where neither letters nor digits stand", () => {
    assert.deepEqual(wordsOf("aws_instance.web-1"), ["aws", "instance", "web", "1"]);
    assert.deepEqual(wordsOf("consul/kv/app/db_host"), ["consul", "kv", "app", "db", "host"]);
    assert.deepEqual(wordsOf("  --  "), []);
  });

  test("case and accents do not count", () => {
    assert.deepEqual(wordsOf("Café ÜBER Ⅷ"), ["cafe", "uber", "viii"]);
  });

  test("what was folded stays as it is, and its words are found as they were indexed", () => {
    fc.assert(
      fc.property(anything, (text) => {
        assert.equal(folded(folded(text)), folded(text));
        for (const word of wordsOf(text)) assert.deepEqual(wordsOf(word), [word]);
      }),
    );
  });

  test("a text of ASCII has the words that it has beside others", () => {
    const plain = fc.string({ unit: "binary-ascii", maxLength: 200 });
    fc.assert(
      fc.property(plain, (text) => {
        assert.deepEqual([...wordsOf(text), "cafe"], wordsOf(`${text} Café`));
        assert.deepEqual(`${folded(text)} cafe`, folded(`${text} Café`));
      }),
    );
  });

  test("a word that stands for a field is no word of a text, and has only what no engine splits", () => {
    fc.assert(
      fc.property(anything, anything, (value, text) => {
        const word = keyWord("tag", value);
        assert.match(word, /^v_[^\0-/:-^`{-\u{a0}\p{Z}\p{C}]*$/u);
        assert.ok(!wordsOf(text).includes(word));
      }),
    );
  });

  test("values that begin alike give words that begin alike", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (start, rest) => {
        assert.ok(keyWord("type", start + rest).startsWith(keyWord("type", start)));
      }),
    );
  });
});

suite("Documents of search", () => {
  const observed = {
    environmentId: "env_1",
    template: "shop",
    group: "network",
    address: "aws_instance.web-1",
    type: "aws_instance",
    externalId: "i-0abc",
    attributes: { size: { cpu: 4 }, zones: ["a", "b"], note: null },
  };

  test("an observed resource is indexed by address, type, id, attributes and fields", () => {
    const { name, text } = indexedText(observedDocument(observed));
    assert.deepEqual(name, ["aws", "instance", "web", "1", separator]);
    assert.ok(["i", "0abc", "cpu", "4", "zones", "b"].every((word) => text.includes(word)));
    assert.ok(text.includes(keyWord("type", "aws_instance")));
    assert.ok(!text.includes("null"));
  });

  test("however large it is, so many words of it are indexed", () => {
    const attributes = { text: Array.from({ length: 5_000 }, (_, at) => `w${at}`).join(" ") };
    const { name, text } = indexedText(observedDocument({ ...observed, attributes }));
    const plain = [...name, ...text].filter((word) => !word.includes(separator));
    assert.equal(plain.length, indexedWords);
  });

  test("it is told where a query's words stand", () => {
    const document = observedDocument(observed);
    assert.deepEqual(searchMatches(document, parseSearch('"web 1" cpu -zones type:x')), [
      { field: "address", excerpt: "aws_instance.web-1" },
      { field: "attributes.size.cpu", excerpt: "cpu 4" },
    ]);
    assert.deepEqual(searchMatches(document, parseSearch("name:inst* name:cpu")), [
      { field: "address", excerpt: "aws_instance.web-1" },
    ]);
  });

  test("an excerpt of a long text is what is around the words", () => {
    const description = `${"before ".repeat(40)}needle ${"after ".repeat(40)}`;
    const [match] = searchMatches(
      environmentDocument({
        id: "env_1",
        name: "shop",
        description,
        tags: {},
        desired: { templates: [] },
      }),
      parseSearch("needle"),
    );
    assert.match(match?.excerpt ?? "", /^….*before needle after .*…$/u);
    assert.ok((match?.excerpt.length ?? 999) <= 125);
  });
});
