import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Value } from "../../../domain/value.ts";
import type { ExecutorContext, StateCopy, StateSlot } from "../../../ports/executor.ts";
import type { GroupCase } from "../../../testing/executor-group.ts";
import { TestGroup } from "../../../testing/executor-group.ts";
import { parseState } from "./state-file.ts";

/** A group whose kept states can be looked at. */
export class Group extends TestGroup {
  readonly slot: MemorySlot = new MemorySlot();

  override context(more: Partial<ExecutorContext> = {}): ExecutorContext {
    return super.context({ state: this.slot, ...more });
  }

  /** The context of an attempt after one of unknown outcome, which left these notes. */
  later(more: Partial<ExecutorContext> = {}): ExecutorContext {
    return this.context({ attempts: [this.unknownAttempt()], ...more });
  }
}

/** States of one group, in memory. */
export class MemorySlot implements StateSlot {
  readonly versions: StateCopy[] = [];
  progress: StateCopy | null = null;

  latest(): Promise<StateCopy | null> {
    return Promise.resolve(this.versions.at(-1) ?? null);
  }

  inProgress(): Promise<StateCopy | null> {
    return Promise.resolve(this.progress);
  }

  saveProgress(copy: StateCopy): Promise<void> {
    this.progress = copy;
    return Promise.resolve();
  }

  saveVersion(copy: StateCopy): Promise<void> {
    this.versions.push(copy);
    this.progress = null;
    return Promise.resolve();
  }

  /** Addresses in the newest version, in order. */
  get addresses(): readonly string[] {
    const bytes = this.versions.at(-1)?.bytes;
    const state = bytes === undefined ? null : parseState(bytes);
    return (state?.instances ?? []).map(({ address }) => address).toSorted();
  }
}

export function caseOf(files: Readonly<Record<string, string>>, settings?: Value): GroupCase {
  return {
    settings: settings ?? { source: "." },
    files: Object.fromEntries(Object.entries(files).map(([path, text]) => [path, { text }])),
    outputs: ["out", "hidden"],
  };
}

export function makeGroup(t: TestContext, groupCase: GroupCase): Group {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-terraform-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return new Group(join(directory, "work"), groupCase);
}
