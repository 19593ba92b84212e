import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FileTree, pathFault, TreeFault } from "./file-tree.ts";

const limits = { files: 10, totalBytes: 100 };
const bytes = Buffer.from("content");

function refused(kind: TreeFault["kind"], words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof TreeFault && error.kind === kind && words.test(error.message);
}

function paths(fill: (tree: FileTree) => void): readonly string[] {
  const tree = new FileTree(limits);
  fill(tree);
  return tree.finish().map((file) => file.path);
}

function emptyFiles(count: number): readonly string[] {
  return paths((tree) => {
    for (let n = 0; n < count; n += 1) tree.addFile(`f${n}`, 0o644, new Uint8Array());
  });
}

describe("a file tree", () => {
  test("gives its files back by path, with the modes git would keep", () => {
    const tree = new FileTree(limits);
    tree.addFile("b/run", 0o700, bytes);
    tree.addFile("a", 0o664, bytes);
    assert.deepEqual(tree.finish(), [
      { path: "a", mode: 0o644, bytes },
      { path: "b/run", mode: 0o755, bytes },
    ]);
  });

  test("refuses paths that leave it or that some file system cannot hold", () => {
    const bad: Readonly<Record<string, RegExp>> = {
      "": /empty/u,
      "/etc/passwd": /absolute/u,
      "../x": /leaves/u,
      "a/../../x": /leaves/u,
      "a/..": /leaves/u,
      "a//b": /empty name/u,
      "a/./b": /empty name/u,
      "a/": /empty name/u,
      "a\u0000b": /control/u,
      "a\nb": /control/u,
      "a\uFFFDb": /UTF-8/u,
      ["x".repeat(256)]: /255/u,
      [`${"xyz/".repeat(300)}x`]: /1024/u,
    };
    for (const [path, words] of Object.entries(bad)) {
      assert.match(pathFault(path) ?? "", words);
      assert.throws(
        () => new FileTree(limits).addFile(path, 0o644, bytes),
        refused("unsafe-path", words),
      );
      assert.throws(() => new FileTree(limits).expect(path, 1), refused("unsafe-path", words));
    }
    assert.equal(pathFault("a/.b/..c/d..e"), null);
  });

  test("refuses a second file of the same name, and names that are twins elsewhere", () => {
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ["a", "a", /twice/u],
      ["a", "a/b", /twice/u],
      ["a/b", "a", /twice/u],
      ["README", "readme", /case/u],
      ["Dir/x", "dir/y", /case/u],
      ["caf\u00E9", "cafe\u0301", /Unicode/u],
    ];
    for (const [one, two, words] of cases)
      assert.throws(
        () => paths((tree) => [one, two].map((path) => tree.addFile(path, 0o644, bytes))),
        refused("unsafe-path", words),
      );
  });

  test("takes a folder that is named before and after its files", () => {
    const found = paths((tree) => {
      tree.addFolder("a");
      tree.addFile("a/b", 0o644, bytes);
      tree.addFolder("a");
    });
    assert.deepEqual(found, ["a/b"]);
  });

  test("refuses one file and one byte too many, by the size already before it is read", () => {
    assert.equal(emptyFiles(10).length, 10);
    assert.throws(() => emptyFiles(11), refused("too-large", /more than 10 files/u));
    const expecting = new FileTree(limits);
    expecting.addFile("a", 0o644, bytes);
    expecting.expectCount(9);
    assert.throws(() => expecting.expectCount(10), refused("too-large", /more than 10 files/u));
    const tree = new FileTree(limits);
    tree.addFile("a", 0o644, new Uint8Array(60));
    tree.expect("b", 40);
    assert.throws(() => tree.expect("b", 41), refused("too-large", /more than 100 bytes/u));
    assert.throws(() => tree.addFile("b", 0o644, new Uint8Array(41)), refused("too-large", /100/u));
  });

  test("turns links that stay inside into copies: of a file, of a folder, through another link", () => {
    const tree = new FileTree(limits);
    tree.addLink("a/one", "../shared/x");
    tree.addLink("a/folder", "../shared");
    tree.addLink("through", "./a/folder/x");
    tree.addLink("up", "a/folder/../top");
    tree.addFile("shared/x", 0o755, bytes);
    tree.addFile("top", 0o644, Buffer.from("t"));
    assert.deepEqual(
      tree.finish().map(({ path, mode, bytes: { length } }) => [path, mode, length]),
      [
        ["a/folder/x", 0o755, 7],
        ["a/one", 0o755, 7],
        ["shared/x", 0o755, 7],
        ["through", 0o755, 7],
        ["top", 0o644, 1],
        ["up", 0o644, 1],
      ],
    );
  });

  test("refuses links that leave it, point nowhere, or lead in a circle", () => {
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ["a", "/etc/passwd", /outside/u],
      ["a", "", /outside/u],
      ["a", "..", /outside/u],
      ["a/b", "../../x", /outside/u],
      ["a/b", "c/../../../x", /outside/u],
      ["a", "nothing", /not there/u],
      ["a", "a", /circle/u],
      ["a/b", ".", /contains itself/u],
      ["a/b", "..", /contains itself/u],
    ];
    for (const [path, target, words] of cases)
      assert.throws(
        () =>
          paths((tree) => {
            tree.addFile("file", 0o644, bytes);
            tree.addLink(path, target);
          }),
        refused("unsafe-path", words),
        `${path} -> ${target}`,
      );
  });

  test("refuses folders that link into each other", () => {
    assert.throws(
      () =>
        paths((tree) => {
          tree.addFile("a/f", 0o644, bytes);
          tree.addFile("b/f", 0o644, bytes);
          tree.addLink("a/x", "../b");
          tree.addLink("b/y", "../a");
        }),
      TreeFault,
    );
  });

  test("counts the copies that links make", () => {
    assert.throws(
      () =>
        paths((tree) => {
          tree.addFile("a", 0o644, new Uint8Array(60));
          tree.addLink("b", "a");
        }),
      refused("too-large", /more than 100 bytes/u),
    );
  });

  test("copies a hard link's file, and refuses one that names no file before it", () => {
    const found = paths((tree) => {
      tree.addFile("a", 0o644, bytes);
      tree.addHardLink("b", "a");
    });
    assert.deepEqual(found, ["a", "b"]);
    for (const target of ["c", "../c", "/etc/passwd"])
      assert.throws(
        () => paths((tree) => tree.addHardLink("b", target)),
        refused("unsafe-path", /no file/u),
      );
  });
});
