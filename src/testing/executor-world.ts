import { mkdirSync, mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Executor } from "../ports/executor.ts";
import { TestGroup } from "./executor-group.ts";
import type { ExecutorSubject, WorldContents } from "./executor-subject.ts";

/** One case of the executors' contract: an empty world, a group that would make the thing in it, and the executor. */
export interface ExecutorCase {
  readonly world: string;
  readonly group: TestGroup;
  readonly executor: Executor;
  /** What is in the world now, by name. */
  readonly contents: () => Promise<WorldContents>;
  /** The word in the thing, or null when it is not there. */
  readonly thing: () => Promise<string | null>;
}

/** Makes the case in a folder of its own below `root`. */
export async function beginCase(subject: ExecutorSubject, root: string): Promise<ExecutorCase> {
  const directory = mkdtempSync(join(root, "t-"));
  const world = join(directory, "world");
  mkdirSync(world);
  const look = subject.look ?? filesIn;
  return {
    world,
    group: new TestGroup(join(directory, "work"), subject.thing(world, "one")),
    executor: await subject.executor(),
    contents: () => look(world),
    thing: async () => (await look(world))["thing"]?.trim() ?? null,
  };
}

function filesIn(world: string): Promise<WorldContents> {
  const names = readdirSync(world).toSorted();
  const texts = names.map((name) => {
    const path = join(world, name);
    return [name, statSync(path).isFile() ? readFileSync(path, "utf8") : ""] as const;
  });
  return Promise.resolve(Object.fromEntries(texts));
}
