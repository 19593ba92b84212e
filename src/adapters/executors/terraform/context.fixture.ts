import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import type { TestContext } from "node:test";
import type { Json } from "../../../lib/json.ts";
import type { Attempt } from "../../../domain/step.ts";
import type { SecretRef, Value } from "../../../domain/value.ts";
import { replaceSecrets } from "../../../domain/value.ts";
import type {
  ExecutorContext,
  ExecutorResult,
  StateCopy,
  StateSlot,
  TemplateFiles,
} from "../../../ports/executor.ts";
import { parseState } from "./state-file.ts";

export type Files = Readonly<Record<string, string>>;

/** What the engine would remember of one group, in memory, with a work directory of its own. */
export class Group {
  readonly workDirectory: string;
  readonly slot = new MemorySlot();
  readonly sealed = new Map<string, string>();
  readonly log: string[] = [];
  readonly progress: { done: number; total: number | null; message: string }[] = [];
  readonly notes: Json[] = [];
  readonly stop = new AbortController();
  readonly kill = new AbortController();
  children = 0;
  files: Files;
  settings: Value;
  record: ExecutorContext["previous"] = null;

  constructor(workDirectory: string, files: Files, settings: Value) {
    this.workDirectory = workDirectory;
    this.files = files;
    this.settings = settings;
  }

  context(more: Partial<ExecutorContext> = {}): ExecutorContext {
    return {
      environment: { id: "env_1", name: "one" },
      template: { name: "shop", version: "1.0.0" },
      group: "network",
      stepId: "step_1",
      token: 1,
      owner: "glasshouse/env_1/network",
      traceparent: "00-00000000000000000000000000000001-0000000000000001-01",
      settings: this.settings,
      previous: this.record,
      parameters: {},
      declaredOutputs: ["out", "hidden"],
      workDirectory: this.workDirectory,
      files: memoryFiles(this.files),
      sealedPlan: null,
      attempts: this.notes.length === 0 ? [] : [attemptWith(this.notes)],
      acceptedLeaks: [],
      state: this.slot,
      reveal: (value) =>
        Promise.resolve(replaceSecrets(value, ({ $secret }) => this.sealed.get($secret) ?? "?")),
      seal: (name, plain) => Promise.resolve(this.secret(name, plain)),
      log: (line) => this.log.push(line),
      progress: (progress) => this.progress.push(progress),
      note: (note) => {
        this.notes.push(note);
        return Promise.resolve();
      },
      childStarted: () => {
        this.children += 1;
        return Promise.resolve();
      },
      signal: this.stop.signal,
      kill: this.kill.signal,
      ...more,
    };
  }

  /** What the engine does when an apply has succeeded. */
  remember(result: ExecutorResult): void {
    const { outputs, memory } = result;
    this.record = { settings: this.settings, outputs, memory };
    this.notes.length = 0;
  }

  secret(name: string, plain: string): SecretRef {
    this.sealed.set(name, plain);
    return { $secret: name, fingerprint: createHash("sha256").update(plain).digest("hex") };
  }
}

export class MemorySlot implements StateSlot {
  readonly versions: StateCopy[] = [];
  progressCopies = 0;
  progress: StateCopy | null = null;

  latest(): Promise<StateCopy | null> {
    return Promise.resolve(this.versions.at(-1) ?? null);
  }

  inProgress(): Promise<StateCopy | null> {
    return Promise.resolve(this.progress);
  }

  saveProgress(copy: StateCopy): Promise<void> {
    this.progress = copy;
    this.progressCopies += 1;
    return Promise.resolve();
  }

  saveVersion(copy: StateCopy): Promise<void> {
    this.versions.push(copy);
    this.progress = null;
    return Promise.resolve();
  }

  /** Addresses in the newest version. */
  get addresses(): readonly string[] {
    const bytes = this.versions.at(-1)?.bytes;
    const state = bytes === undefined ? null : parseState(bytes);
    return state?.instances.map(({ address }) => address) ?? [];
  }
}

export function attemptWith(notes: readonly Json[]): Attempt {
  return {
    stepId: "step_1",
    token: 0,
    worker: "w",
    startedAt: "2026-01-01T00:00:00.000Z",
    finishedAt: null,
    outcome: "unknown",
    failure: null,
    child: null,
    notes,
  };
}

export async function makeGroup(
  t: TestContext,
  files: Files,
  settings: Value = { source: "." },
): Promise<Group> {
  const workDirectory = await mkdtemp(join(tmpdir(), "glasshouse-terraform-"));
  t.after(() => rm(workDirectory, { recursive: true, force: true }));
  return new Group(workDirectory, files, settings);
}

function memoryFiles(files: Files): TemplateFiles {
  const below = (path: string): readonly string[] =>
    Object.keys(files).filter(
      (file) => path === "" || file === path || file.startsWith(`${path}/`),
    );
  return {
    paths: Object.keys(files),
    digestOf: (paths) => {
      const found = [...new Set(paths.flatMap(below))].sort().map((path) => [path, files[path]]);
      return createHash("sha256").update(JSON.stringify(found)).digest("hex");
    },
    materialise: async (path, directory) => {
      for (const file of below(path)) {
        const target = join(directory, relative(path, file) || basename(file));
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, files[file] ?? "");
      }
    },
  };
}
