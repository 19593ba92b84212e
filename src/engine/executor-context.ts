import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { outlivesLeaseMs } from "../domain/lease.ts";
import { groupKey, type GroupRecord } from "../domain/record.ts";
import type { Attempt, ChildIdentity, Step } from "../domain/step.ts";
import type { Template } from "../domain/template.ts";
import { isJsonObject, type Json } from "../lib/json.ts";
import { Mask } from "../lib/mask.ts";
import { maskSecrets, type SecretRef, type Value, type Values } from "../domain/value.ts";
import type { ExecutorContext, StartedChild } from "../ports/executor.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import { NoteBuffer } from "./note-buffer.ts";
import type { RunFacts } from "./run-cache.ts";
import { patiently } from "./patience.ts";
import { reveal, sealIn } from "./sealed-values.ts";
import { stateSlot } from "./state-slot.ts";
import { StepLog } from "./step-log.ts";
import { templateFiles } from "./template-files.ts";

export interface ContextParts {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly settings: Value;
  readonly record: GroupRecord | null;
  readonly rotation: number;
  readonly declaredOutputs: readonly string[];
  readonly sealedPlan: Uint8Array | null;
  /** Credentials that were made for this attempt. */
  readonly lent: ExecutorContext["lent"];
  readonly signal: AbortSignal;
  readonly kill: AbortSignal;
  /** Told of each child before it is let go; throws when it may not be. */
  readonly childStarted: (child: StartedChild) => void;
  readonly progress: (progress: {
    readonly done: number;
    readonly total: number | null;
    readonly message: string;
  }) => void;
}

/** A context that `settle` takes as well; copying one would make its work directory. */
export type SettlingContext = ExecutorContext & { readonly operation: "apply" | "destroy" };

/** The context of one attempt and what must be closed when it ends. */
export interface StepContext {
  readonly ctx: SettlingContext;
  readonly close: () => Promise<void>;
}

/** Builds what an executor gets. */
export async function stepContext(deps: EngineDeps, parts: ContextParts): Promise<StepContext> {
  const { step, facts } = parts;
  const name = step.group ?? step.key.slice(step.key.indexOf(":") + 1);
  const fence = fenceOf(step);
  const workDirectory = join(deps.settings.workRoot, facts.environment.id, step.template, name);
  const { attempts, last, template } = await earlierOf(deps, parts);
  const mask = maskOf(parts.lent);
  const log = new StepLog(deps, { fence, last, mask: (line) => mask.apply(line) });
  const notes = new NoteBuffer(deps, fence);
  // Taking down and looking go by the files that the record was applied with, not by those of a newer version.
  const files =
    step.phase === "apply" || step.phase === "action" ? facts.template.files : template.files;
  const ctx: SettlingContext = {
    operation: step.phase === "destroy" ? "destroy" : "apply",
    environment: { id: facts.environment.id, name: facts.environment.name },
    template: { name: facts.template.name, version: facts.template.version },
    group: name,
    stepId: step.id,
    token: step.token,
    owner: `glasshouse/${facts.environment.id}/${name}`,
    traceparent: facts.traceparent,
    settings: parts.settings,
    previous: previousOf(parts.record),
    rotation: parts.rotation,
    parameters: plainParameters(facts.parameters),
    declaredOutputs: parts.declaredOutputs,
    // Made when it is first asked for: most of a step's price, for executors that need none.
    get workDirectory() {
      makeOnce(workDirectory);
      return workDirectory;
    },
    files: templateFiles(files, deps.blobs),
    sealedPlan: parts.sealedPlan,
    lent: parts.lent,
    attempts: earlier(attempts, step),
    acceptedLeaks: acceptedLeaks(step.input),
    state: stateSlot(
      deps,
      { environmentId: facts.environment.id, template: step.template, group: name },
      fence,
    ),
    reveal: (value) => reveal(deps, value, mask),
    seal: (output, plain) => {
      mask.add(plain);
      const of = {
        environmentId: facts.environment.id,
        name: `output/${groupKey(step.template, name)}/${output}`,
        plain,
      };
      const seal = (): Promise<SecretRef> =>
        deps.store.transact(async (tx) => {
          await tx.steps.fence(fence);
          return sealIn(tx, deps, of);
        });
      return patiently(seal, { log: deps.log, stepId: step.id, kill: parts.kill });
    },
    log: (line) => log.write(line),
    progress: parts.progress,
    note: (note) => notes.add(note),
    childStarted: async (child) => {
      const identity = identityToStore(child);
      await deps.store.transact((tx) => tx.steps.setChild(fence, identity), { brief: true });
      await deps.settings.failpoint("step.childStored");
      parts.childStarted(child);
    },
    signal: parts.signal,
    kill: parts.kill,
  };
  return { ctx, close: () => log.close() };
}

function maskOf(lent: ExecutorContext["lent"]): Mask {
  const mask = new Mask();
  for (const value of Object.values(lent)) mask.add(value);
  return mask;
}

/** With the time that it may go on past its server's lease. */
function identityToStore({ identity }: StartedChild): ChildIdentity {
  return { ...identity, stopsWithinMs: identity.stopsWithinMs + outlivesLeaseMs };
}

/** Directories that this process has made: making one again costs system calls for every step. */
const made = new Set<string>();
const mostMade = 10_000;

/** Synchronous: a few system calls, less than handing them to a thread and coming back. */
function makeOnce(directory: string): void {
  if (made.has(directory)) return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (made.size >= mostMade) made.clear();
  made.add(directory);
}

/** What earlier attempts left, and the template the record was applied with. A first attempt by its own template needs no look. */
async function earlierOf(
  deps: EngineDeps,
  { step, record, facts }: ContextParts,
): Promise<{
  readonly attempts: readonly Attempt[];
  readonly last: number;
  readonly template: Template;
}> {
  const foreign =
    record !== null && record.templateId !== facts.template.id ? record.templateId : null;
  if (step.token === 1 && foreign === null)
    return { attempts: [], last: 0, template: facts.template };
  return deps.store.read(async (tx) => ({
    attempts: await tx.steps.attempts(step.id),
    last: await tx.logs.last(step.id),
    template: (foreign === null ? null : await tx.templates.get(foreign)) ?? facts.template,
  }));
}

/** What executors are told of a group's last apply. */
export function previousOf(record: GroupRecord | null): ExecutorContext["previous"] {
  if (record === null) return null;
  const { settings, outputs, memory, drift, appliedAt } = record;
  return { settings, outputs, memory, drift, appliedAt };
}

/** Secret parameters are left out altogether: programs get them through `inputs` or not at all. */
function plainParameters(parameters: Values): Readonly<Record<string, Json>> {
  const plain = Object.entries(parameters).filter(
    ([, value]) => !isJsonObject(value) || !("$secret" in value),
  );
  return Object.fromEntries(plain.map(([name, value]) => [name, maskSecrets(value)]));
}

function earlier(attempts: readonly Attempt[], step: Step): readonly Attempt[] {
  return attempts.filter((attempt) => attempt.token < step.token);
}

/** `run.retry --accept-leak` leaves the accepted addresses in the step's input. */
function acceptedLeaks(input: Json): readonly string[] {
  if (!isJsonObject(input) || !Array.isArray(input["acceptedLeaks"])) return [];
  return input["acceptedLeaks"].flatMap((address: Json) =>
    typeof address === "string" ? [address] : [],
  );
}
