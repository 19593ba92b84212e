import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Remotes } from "../../../clients/resilience/remotes.ts";
import type { GitRequest } from "../../../ports/source.ts";
import { noMetrics } from "../../../ports/telemetry.ts";
import { isError, put, testSource } from "../../../testing/source-contract.ts";
import { gitSource } from "./index.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-git-test-"));
after(() => rm(root, { recursive: true, force: true }));
const temporary = join(root, "temporary");
await mkdir(temporary);
const ignore = (): void => undefined;

/** As hosts are at the start: none is known to be down. */
function newRemotes(): Remotes {
  return new Remotes({
    metrics: noMetrics,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
  });
}

const source = gitSource({ temporary, env: process.env, remotes: newRemotes() });

function git(directory: string, ...args: readonly string[]): string {
  const identity = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "gc.auto=0"];
  const env = { PATH: process.env["PATH"], HOME: root, GIT_CONFIG_NOSYSTEM: "1" };
  return execFileSync("git", [...identity, ...args], { cwd: directory, env, stdio: "pipe" })
    .toString()
    .trim();
}

async function newRepository(fill: (directory: string) => Promise<void>): Promise<string> {
  const directory = await mkdtemp(join(root, "r"));
  git(directory, "init", "-q", "-b", "main");
  await fill(directory);
  commit(directory, "first");
  return directory;
}

function commit(directory: string, message: string): string {
  git(directory, "add", "-A", "-f");
  git(directory, "commit", "-q", "--allow-empty", "-m", message);
  return git(directory, "rev-parse", "HEAD");
}

/** A branch with exactly these entries, without a file on the disk. */
function commitIndex(directory: string, branch: string, entries: string): void {
  const env = { PATH: process.env["PATH"], HOME: root, GIT_INDEX_FILE: join(root, branch) };
  execFileSync("git", ["update-index", "--index-info"], { cwd: directory, env, input: entries });
  const tree = execFileSync("git", ["write-tree"], { cwd: directory, env }).toString().trim();
  git(directory, "branch", branch, git(directory, "commit-tree", tree, "-m", branch));
}

function fetch(directory: string, more: Partial<GitRequest> = {}) {
  const request = { repository: `file://${directory}`, ref: null, path: "", allowFile: true };
  return source.fetch({ ...request, ...more }, new AbortController().signal);
}

async function text(directory: string, ref: string | null): Promise<string> {
  const { files } = await fetch(directory, { ref });
  return files.map((file) => `${file.path}=${Buffer.from(file.bytes).toString()}`).join();
}

describe("a git repository", () => {
  testSource(async (fill) => fetch(await newRepository(fill)));

  test("is read at its HEAD, a branch, a tag, an annotated tag or any commit, pinned to the commit", async () => {
    const directory = await newRepository((at) => put(at, "a", "1"));
    const first = git(directory, "rev-parse", "HEAD");
    git(directory, "tag", "light");
    git(directory, "tag", "-a", "annotated/v1", "-m", "one");
    git(directory, "checkout", "-q", "-b", "feature/x");
    await put(directory, "a", "2");
    const second = commit(directory, "second");
    await put(directory, "a", "3");
    const third = commit(directory, "third");
    git(directory, "checkout", "-q", "main");
    for (const [ref, commitId, content] of [
      [null, first, "a=1"],
      ["main", first, "a=1"],
      ["refs/heads/main", first, "a=1"],
      ["heads/main", first, "a=1"],
      ["light", first, "a=1"],
      ["annotated/v1", first, "a=1"],
      ["feature/x", third, "a=3"],
      [second, second, "a=2"],
    ] as const) {
      assert.equal((await fetch(directory, { ref })).commit, commitId, String(ref));
      assert.equal(await text(directory, ref), content, String(ref));
    }
  });

  test("gives one folder of it, and refuses links that leave that folder", async () => {
    const directory = await newRepository(async (at) => {
      await put(at, "templates/shop/template.yaml", "t");
      await put(at, "other/x", "x");
      await put(at, "bad/x", "x");
      await symlink("../other/x", join(at, "bad/link"));
    });
    const { files } = await fetch(directory, { path: "./templates/shop/" });
    assert.deepEqual(
      files.map((file) => file.path),
      ["template.yaml"],
    );
    await assert.rejects(fetch(directory, { path: "bad" }), isError("unsafe-path", /outside/u));
    await assert.rejects(fetch(directory, { path: "none" }), isError("not-found", /no folder/u));
    await assert.rejects(fetch(directory, { path: "other/x" }), isError("not-found", /no folder/u));
  });

  test("without that ref, that commit or anything at all is not found", async () => {
    const directory = await newRepository((at) => put(at, "a", "1"));
    await assert.rejects(fetch(directory, { ref: "none" }), isError("not-found", /none/u));
    const unknown = "0123456789012345678901234567890123456789";
    await assert.rejects(
      fetch(directory, { ref: unknown }),
      isError("not-found", /no commit 0123/u),
    );
    await assert.rejects(fetch(join(root, "nowhere")), isError("not-found", /nowhere/u));
    const empty = await mkdtemp(join(root, "e"));
    git(empty, "init", "-q");
    await assert.rejects(fetch(empty), isError("not-found", /empty/u));
  });

  test("with too many files or too many bytes is refused before they are read", async () => {
    const directory = await newRepository((at) => put(at, "a", "1"));
    await writeFile(join(directory, "big"), Buffer.alloc(33 * 1024 * 1024));
    const big = git(directory, "hash-object", "-w", "big");
    const small = git(directory, "rev-parse", "HEAD:a");
    const many = Array.from({ length: 5_001 }, (_, at) => `100644 ${small}\tmany/${at}\n`);
    commitIndex(directory, "many", many.join(""));
    commitIndex(directory, "large", `100644 ${big}\tone\n100644 ${big}\ttwo\n`);
    await assert.rejects(
      fetch(directory, { ref: "many", path: "many" }),
      isError("too-large", /5000 files/u),
    );
    await assert.rejects(fetch(directory, { ref: "large" }), isError("too-large", /67108864/u));
  });

  test("with a submodule is refused", async () => {
    const inner = await newRepository((at) => put(at, "a", "1"));
    const directory = await newRepository(async (at) => {
      await cp(inner, join(at, "sub"), { recursive: true });
    });
    await assert.rejects(fetch(directory), isError("unsafe-source", /"sub" is a submodule/u));
  });

  test("runs no hook and reads no configuration of its own or the user's", async () => {
    const marker = join(root, "ran");
    const directory = await newRepository((at) => put(at, "a", "1"));
    const hook = `#!/bin/sh\ntouch ${marker}\n`;
    for (const name of ["post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"]) {
      await writeFile(join(directory, ".git/hooks", name), hook);
      await chmod(join(directory, ".git/hooks", name), 0o755);
    }
    await writeFile(join(root, "pack"), `#!/bin/sh\ntouch ${marker}\nexec "$@"\n`, { mode: 0o755 });
    git(directory, "config", "uploadpack.packObjectsHook", join(root, "pack"));
    assert.equal(await text(directory, null), "a=1");
    assert.equal((await readdir(root)).includes("ran"), false);
  });

  test("leaves nothing behind, whether it went well or not", async () => {
    // The caller is answered at once; what was fetched is removed right after.
    while ((await readdir(temporary)).length > 0) await sleep(5);
  });
});

describe("a request for a git repository", () => {
  const refused: readonly (readonly [Partial<GitRequest>, "unsafe-source" | "unsafe-path"])[] = [
    [{ repository: "--upload-pack=touch /tmp/x" }, "unsafe-source"],
    [{ repository: "ext::sh -c touch% /tmp/x" }, "unsafe-source"],
    [{ repository: "-x" }, "unsafe-source"],
    [{ repository: "/srv/repository" }, "unsafe-source"],
    [{ repository: "http://example.com/x.git" }, "unsafe-source"],
    [{ repository: "ssh://example.com/x.git" }, "unsafe-source"],
    [{ repository: "git@example.com:x.git" }, "unsafe-source"],
    [{ repository: "https://user:hunter2@example.com/x.git" }, "unsafe-source"],
    [{ repository: "https://example.com/x.git\n--upload-pack=x" }, "unsafe-source"],
    [{ repository: "https://example.com/x\u0000y" }, "unsafe-source"],
    [{ repository: "file://otherhost/srv/x" }, "unsafe-source"],
    [{ repository: "file:///srv/x", allowFile: false }, "unsafe-source"],
    [{ ref: "--upload-pack=touch /tmp/x" }, "unsafe-source"],
    [{ ref: "-x" }, "unsafe-source"],
    [{ ref: "a..b" }, "unsafe-source"],
    [{ ref: "main:refs/heads/x" }, "unsafe-source"],
    [{ ref: "+main" }, "unsafe-source"],
    [{ ref: "main~1" }, "unsafe-source"],
    [{ ref: "main@{1}" }, "unsafe-source"],
    [{ ref: "a*" }, "unsafe-source"],
    [{ ref: "a b" }, "unsafe-source"],
    [{ ref: "a\nb" }, "unsafe-source"],
    [{ ref: "a\u0000b" }, "unsafe-source"],
    [{ ref: "" }, "unsafe-source"],
    [{ path: "../x" }, "unsafe-path"],
    [{ path: "a/../../x" }, "unsafe-path"],
    [{ path: "/etc" }, "unsafe-path"],
    [{ path: "a\u0000b" }, "unsafe-path"],
  ];
  for (const [request, code] of refused)
    test(`with ${JSON.stringify(request)} is refused before git is started`, async () => {
      const strict = gitSource({ temporary, env: { PATH: "/nonexistent" }, remotes: newRemotes() });
      const whole = { repository: "https://example.com/x", ref: null, path: "", allowFile: true };
      await assert.rejects(
        strict.fetch({ ...whole, ...request }, new AbortController().signal),
        (error) => {
          assert.doesNotMatch(String(error), /hunter2/u);
          return isError(code, /./u)(error);
        },
      );
    });

  test("is unavailable where there is no git, and where nothing answers", async () => {
    const whole = { ref: null, path: "", allowFile: true };
    const none = gitSource({ temporary, env: { PATH: "/nonexistent" }, remotes: newRemotes() });
    const signal = new AbortController().signal;
    await assert.rejects(
      none.fetch({ ...whole, repository: "https://127.0.0.1:1/x" }, signal),
      isError("unavailable", /git cannot be started/u),
    );
    await assert.rejects(
      source.fetch({ ...whole, repository: "https://127.0.0.1:1/x" }, signal),
      isError("unavailable", /cannot be reached/u),
    );
  });

  test("ends with the time limit and with the caller's wish, helpers and all", async () => {
    const bin = await mkdtemp(join(root, "bin"));
    const slow = '#!/bin/sh\ncase "$*" in *init*) exit 0 ;; esac\nsleep 30 & wait\n';
    await writeFile(join(bin, "git"), slow, { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env["PATH"]}` };
    const whole = { repository: "https://example.com/x", ref: null, path: "", allowFile: false };
    const hasty = gitSource({ temporary, env, timeoutMs: 300, remotes: newRemotes() });
    await assert.rejects(
      hasty.fetch(whole, new AbortController().signal),
      isError("timeout", /within 0\.3 s/u),
    );
    const patient = gitSource({ temporary, env, remotes: newRemotes() });
    const wish = new Error("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(wish), 100);
    await assert.rejects(patient.fetch(whole, controller.signal), wish);
    // The caller is answered at once; what was fetched is removed right after.
    while ((await readdir(temporary)).length > 0) await sleep(5);
  });
});
