import { randomUUID } from "node:crypto";
import { closeSync, openSync, readFileSync, unlinkSync } from "node:fs";
import { access, constants, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Change } from "../../../domain/resource.ts";
import type { ExecutorContext, ExecutorPlan, Observation } from "../../../ports/executor.ts";
import { changesOf } from "./changes.ts";
import { asksForInit, errorFrom } from "./diagnostics.ts";
import { checkFreeSpace, cleanAfterLook, withDirectory, writePrivate } from "./directory.ts";
import { EventJournal } from "./event-journal.ts";
import { newest, parseCopy } from "./harvest.ts";
import { ensureInit } from "./init.ts";
import type { Job, Means } from "./job.ts";
import { prepareJob } from "./job.ts";
import { collectOutputs, observedResources } from "./observed.ts";
import { addSecretsOf } from "./result.ts";
import type { TerraformState } from "./state-file.ts";
import { emptyState } from "./state-file.ts";
import { runTerraform } from "./terraform-process.ts";

/** What an apply would do. Works on a copy of the state, so it may be made while nobody owns the group. */
export async function planGroup(ctx: ExecutorContext, means: Means): Promise<ExecutorPlan> {
  return await looking(ctx, means, async (job, state) => {
    await runPlan(job, state, []);
    const saved = await readFile(job.layout.plan);
    const document = await showPlan(job);
    return { changes: changesOf(document, "resource_changes", job.redact), saved };
  });
}

/**
 * Compares the state with the world. Drift is what the event stream calls drift: the exit code of `-detailed-exitcode` says
 * "changed" for some providers when nothing has.
 */
export async function observeGroup(ctx: ExecutorContext, means: Means): Promise<Observation> {
  return await looking(ctx, means, async (job, state) => {
    const { redact } = job;
    const journal = await runPlan(job, state, ["-refresh-only"]);
    const drifted = journal.drifted.filter(({ action }) => action !== "none");
    const changes =
      drifted.length === 0 ? [] : changesOf(await showPlan(job), "resource_drift", redact);
    const outputs = await collectOutputs({
      outputs: state.outputs,
      declared: ctx.declaredOutputs,
      redact,
      seal: (name, plain) => ctx.seal(name, plain),
    });
    return {
      drift: driftOf(drifted, state),
      changes,
      observed: observedResources(state, redact),
      outputs,
    };
  });
}

function driftOf(
  drifted: readonly Pick<Change, "action" | "address">[],
  state: TerraformState,
): Observation["drift"] {
  if (drifted.length === 0) return "none";
  const gone = drifted.filter(({ action }) => action === "destroy");
  return gone.length === state.instances.length ? "missing" : "drifted";
}

async function looking<T>(
  ctx: ExecutorContext,
  means: Means,
  fn: (job: Job, state: TerraformState) => Promise<T>,
): Promise<T> {
  return await withDirectory(ctx.workDirectory, ctx.signal, async () => {
    const job = await prepareJob(ctx, means);
    const state = await copyOfState(job);
    addSecretsOf(state, job.mask);
    checkFreeSpace(job.layout.root, state.bytes.length);
    try {
      return await fn(job, state);
    } finally {
      cleanAfterLook(job.layout);
    }
  });
}

async function copyOfState(job: Job): Promise<TerraformState> {
  const { ctx, memory, program } = job;
  const [sealed, progress] = await Promise.all([ctx.state.latest(), ctx.state.inProgress()]);
  const state = newest([parseCopy(sealed), parseCopy(progress)]);
  if (state !== null) return state;
  if (memory !== null) {
    throw new GlasshouseError(
      "state-missing",
      `The state of group ${ctx.group} (serial ${memory.serial}, lineage ${memory.lineage}) is not in the store: without it everything would look new. Restore it from a backup.`,
    );
  }
  return emptyState(ctx.owner, program.version);
}

async function runPlan(
  job: Job,
  state: TerraformState,
  mode: readonly string[],
): Promise<EventJournal> {
  await ensureInit(job, state);
  const first = await runPlanOnce(job, state, mode);
  if (first.code === 0) return first.journal;
  if (!asksForInit(first.journal.diagnostics)) throw planError(job, first.journal);
  await ensureInit(job, state, true);
  const second = await runPlanOnce(job, state, mode);
  if (second.code === 0) return second.journal;
  throw planError(job, second.journal);
}

async function runPlanOnce(
  job: Job,
  state: TerraformState,
  mode: readonly string[],
): Promise<{ readonly code: number; readonly journal: EventJournal }> {
  const { ctx, layout, launcher, redact, variables } = job;
  await writePrivate(layout.lookState, state.bytes);
  // A plan creates nothing, so there is nothing to note.
  const journal = new EventJournal(ctx, redact, () => undefined);
  const files = [`-out=${layout.plan}`, `-state=${layout.lookState}`, "-var-file=/dev/fd/3"];
  const { code } = await runTerraform(launcher, ctx, {
    args: ["plan", "-json", "-input=false", "-lock=false", ...mode, ...files],
    variables,
    outputFile: layout.lookOutput,
    onLine: (line) => journal.line(line),
  });
  journal.close();
  return { code, journal };
}

function planError({ ctx, program, redact }: Job, journal: EventJournal): GlasshouseError {
  if (ctx.signal.aborted) {
    return new GlasshouseError("step-interrupted", `The plan of group ${ctx.group} was stopped.`);
  }
  const { diagnostics, text } = journal;
  const doing = `${program.product} plan of group ${ctx.group}`;
  return errorFrom({ diagnostics, doing, text, redact });
}

/**
 * `show -json` prints every secret, so its output goes to memory, to a file that has lost its name before the first byte is
 * written, and is masked at once.
 */
async function showPlan(job: Job): Promise<unknown> {
  const { ctx, layout, launcher, program, redact } = job;
  const outputFile = join(await memoryDirectory(layout.root), `glasshouse-${randomUUID()}`);
  const opened: number[] = [];
  try {
    const { code } = await runTerraform(launcher, ctx, {
      args: ["show", "-json", layout.plan],
      outputFile,
      errorFile: layout.lookOutput,
      opened: () => {
        opened.push(openSync(outputFile, "r"));
        unlinkSync(outputFile);
      },
    });
    const text = opened[0] === undefined ? "" : readFileSync(opened[0], "utf8");
    if (code === 0) return JSON.parse(text.slice(text.indexOf("{"))) satisfies unknown;
    const words = await readFile(layout.lookOutput, "utf8");
    const doing = `${program.product} show of group ${ctx.group}`;
    throw errorFrom({ diagnostics: [], doing, text: words, redact });
  } finally {
    for (const file of opened) closeSync(file);
    await rm(outputFile, { force: true });
  }
}

/** A memory file system where there is one; the group's own private directory elsewhere. */
async function memoryDirectory(otherwise: string): Promise<string> {
  try {
    await access("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    return otherwise;
  }
}
