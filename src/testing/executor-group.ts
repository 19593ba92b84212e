import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DriftStatus } from "../domain/record.ts";
import type { Attempt, ChildIdentity } from "../domain/step.ts";
import { replaceSecrets, type SecretRef, type Value } from "../domain/value.ts";
import type { Json } from "../lib/json.ts";
import { Mask } from "../lib/mask.ts";
import type {
  ExecutorContext,
  ExecutorResult,
  StateCopy,
  StateSlot,
  TemplateFiles,
} from "../ports/executor.ts";

/** A group to be made: its settings, filled in, and the files of its template by path. */
export interface GroupCase {
  readonly settings: Value;
  readonly files: Readonly<Record<string, { readonly text: string; readonly mode?: number }>>;
  readonly outputs: readonly string[];
}

/** One group of an environment as the engine would keep it, in memory: record, state, secrets, log. */
export class TestGroup {
  readonly lines: string[] = [];
  readonly notes: Json[] = [];
  readonly children: ChildIdentity[] = [];
  readonly sealed = new Map<string, string>();
  readonly workDirectory: string;
  readonly #environmentId: string;
  readonly #mask = new Mask();
  readonly #state = memoryState();
  #case: GroupCase;
  #previous: ExecutorContext["previous"] = null;
  #steps = 0;
  #applies = 0;

  constructor(workDirectory: string, groupCase: GroupCase) {
    this.workDirectory = workDirectory;
    this.#case = groupCase;
    this.#environmentId = `env_${randomUUID().replaceAll("-", "")}`;
    mkdirSync(workDirectory, { recursive: true, mode: 0o700 });
  }

  /** A secret that settings can name. */
  secret(name: string, plain: string): SecretRef {
    this.sealed.set(name, plain);
    return { $secret: name, fingerprint: createHash("sha256").update(plain).digest("hex") };
  }

  /** Other settings or files from now on. */
  change(groupCase: GroupCase): void {
    this.#case = groupCase;
  }

  /** Keeps what an apply delivered, as the frozen record does. */
  keep(result: ExecutorResult): ExecutorResult {
    const { outputs, memory } = result;
    this.#applies += 1;
    const appliedAt = new Date(this.#applies).toISOString();
    this.#previous = { settings: this.#case.settings, outputs, memory, drift: "none", appliedAt };
    return result;
  }

  /** What a look has found since the last apply. */
  found(drift: DriftStatus): void {
    if (this.#previous !== null) this.#previous = { ...this.#previous, drift };
  }

  /** The work directory is a cache: it may be gone at any time. */
  loseWorkDirectory(): void {
    rmSync(this.workDirectory, { recursive: true, force: true });
    mkdirSync(this.workDirectory, { mode: 0o700 });
  }

  /** What the last attempt would leave if its outcome were unknown. */
  unknownAttempt(): Attempt {
    const [at, child] = ["2026-01-01T00:00:00.000Z", this.children.at(-1) ?? null];
    return {
      stepId: `stp_${this.#steps}`,
      token: this.#steps,
      worker: "wrk_test",
      startedAt: at,
      finishedAt: null,
      outcome: "unknown",
      failure: null,
      child,
      notes: [...this.notes],
    };
  }

  /** The context of a new attempt. */
  context(more: Partial<ExecutorContext> = {}): ExecutorContext {
    this.#steps += 1;
    return {
      environment: { id: this.#environmentId, name: "test" },
      template: { name: "sample", version: "1.0.0" },
      group: "web",
      stepId: `stp_${this.#steps}`,
      token: this.#steps,
      owner: `glasshouse/${this.#environmentId}/web`,
      traceparent: null,
      settings: this.#case.settings,
      previous: this.#previous,
      rotation: 0,
      parameters: { nodes: 3 },
      declaredOutputs: this.#case.outputs,
      workDirectory: this.workDirectory,
      files: memoryFiles(this.#case.files),
      sealedPlan: null,
      lent: {},
      attempts: [],
      acceptedLeaks: [],
      state: this.#state,
      reveal: (value) => Promise.resolve(replaceSecrets(value, (secret) => this.#open(secret))),
      seal: (name, plain) => {
        this.#mask.add(plain);
        return Promise.resolve(this.secret(`output/${name}`, plain));
      },
      log: (line) => void this.lines.push(this.#mask.apply(line)),
      progress: () => undefined,
      note: (note) => Promise.resolve(void this.notes.push(note)),
      childStarted: ({ identity }) => Promise.resolve(void this.children.push(identity)),
      signal: new AbortController().signal,
      kill: new AbortController().signal,
      ...more,
    };
  }

  #open({ $secret }: SecretRef): string {
    const plain = this.sealed.get($secret);
    if (plain === undefined) throw new Error(`no secret ${$secret} in this test`);
    this.#mask.add(plain);
    return plain;
  }
}

function memoryState(): StateSlot {
  const versions: StateCopy[] = [];
  let progress: StateCopy | null = null;
  return {
    latest: () => Promise.resolve(versions.at(-1) ?? null),
    inProgress: () => Promise.resolve(progress),
    saveProgress: (copy) => {
      progress = copy;
      return Promise.resolve();
    },
    saveVersion: (copy) => {
      versions.push(copy);
      progress = null;
      return Promise.resolve();
    },
  };
}

function memoryFiles(files: GroupCase["files"]): TemplateFiles {
  const paths = Object.keys(files).toSorted();
  const below = (path: string): readonly string[] =>
    paths.filter((each) => path === "" || each === path || each.startsWith(`${path}/`));
  return {
    paths,
    digestOf: (wanted) => {
      const chosen = [...new Set(wanted.flatMap(below))].toSorted();
      const hash = createHash("sha256");
      for (const path of chosen) hash.update(JSON.stringify([path, files[path]]));
      return hash.digest("hex");
    },
    materialise: async (path, directory) => {
      for (const each of below(path)) {
        const target = join(directory, path === "" ? each : each.slice(path.length + 1));
        await mkdir(dirname(target), { recursive: true, mode: 0o700 });
        await writeFile(target, files[each]?.text ?? "");
        await chmod(target, files[each]?.mode ?? 0o644);
      }
    },
  };
}
