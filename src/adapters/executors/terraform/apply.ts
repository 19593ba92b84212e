import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext, ExecutorResult } from "../../../ports/executor.ts";
import type { ChildExit } from "../../../clients/process/warden.ts";
import { asksForInit, errorFrom } from "./diagnostics.ts";
import { checkFreeSpace, layoutOf, removeAll, withDirectory, writePrivate } from "./directory.ts";
import { EventJournal } from "./event-journal.ts";
import { leakError } from "./leaks.ts";
import { copiesOf, harvest, type Copies } from "./harvest.ts";
import type { Initialised } from "./init.ts";
import { ensureInit } from "./init.ts";
import type { Job, Means } from "./job.ts";
import { prepareJob } from "./job.ts";
import { parseMemory } from "./memory.ts";
import { markOrigin } from "./origin.ts";
import { resultOf } from "./result.ts";
import { concludeState, sealHarvest } from "./seal.ts";
import { saveStateAlongside } from "./state-saver.ts";
import { parseSettings } from "./settings.ts";
import type { TerraformState } from "./state-file.ts";
import { emptyState } from "./state-file.ts";
import { endedByItself, runTerraform } from "./terraform-process.ts";

/** Makes the group as its configuration says; with a saved plan, exactly as that says. */
export async function applyGroup(ctx: ExecutorContext, means: Means): Promise<ExecutorResult> {
  return await withDirectory(ctx.workDirectory, ctx.signal, async () => {
    // Read while the files are laid. A group that cannot be worked on says so first.
    const copies = copiesOf(ctx.state);
    copies.catch(() => undefined);
    const job = await prepareJob(ctx, means);
    const { state: known, sealed } = await startingState(ctx, copies);
    const before = known ?? emptyState(ctx.owner, job.program.version);
    const operation = ctx.sealedPlan === null ? "apply" : "saved plan";
    const { state, journal, initialised } = await change(job, { before, sealed }, operation);
    return await resultOf(job, { state, initialised, changes: journal.changes });
  });
}

/**
 * Takes down what the group's state holds. A state that is known and holds nothing is done without starting anything.
 * Errors: `state-missing` when something was applied and no copy of its state is there.
 */
export async function destroyGroup(ctx: ExecutorContext, means: Means): Promise<void> {
  return await withDirectory(ctx.workDirectory, ctx.signal, async () => {
    const { state: before, sealed } = await startingState(ctx);
    if (before === null || before.instances.length === 0) {
      const known =
        before === null
          ? "Nothing was ever begun"
          : `The state (serial ${before.serial}) holds no objects`;
      ctx.log(`${known}: nothing is to be destroyed.`);
      return;
    }
    const job = await prepareJob(ctx, means);
    const { state } = await change(job, { before, sealed }, "destroy");
    const [left] = state.instances;
    if (left === undefined) return;
    throw new GlasshouseError(
      "step-failed",
      `${job.program.product} destroyed group ${ctx.group}, but its state still holds ${state.instances.length} objects, ${left.address} among them. Destroy again.`,
    );
  });
}

/** What a change came to. */
export interface Ended {
  readonly state: TerraformState;
  readonly journal: EventJournal;
  readonly initialised: Initialised;
}

type Operation = "apply" | "saved plan" | "destroy";

/**
 * The state to start from, with whatever an earlier attempt left sealed first. Null when there is none and nothing was
 * ever begun: a first copy is stored before Terraform starts. Errors: `state-missing` when something was applied;
 * `suspected-leak` while something may exist that nobody has accepted or found.
 */
async function startingState(
  ctx: ExecutorContext,
  copies?: Promise<Copies>,
): Promise<{
  readonly state: TerraformState | null;
  /** The last sealed version now. */
  readonly sealed: TerraformState | null;
}> {
  const layout = layoutOf(ctx.workDirectory, parseSettings(ctx.settings).source);
  const memory = parseMemory(ctx.previous?.memory);
  const left = await harvest(ctx, layout, copies);
  await sealHarvest(ctx, layout, left);
  if (left.leaks.length > 0) throw leakError(ctx.group, left.leaks);
  if (left.state === null && memory !== null) {
    throw new GlasshouseError(
      "state-missing",
      `The state of group ${ctx.group} (serial ${memory.serial}, lineage ${memory.lineage}) is not in the store. Nothing is changed without it: restore it from a backup.`,
    );
  }
  return { state: left.state, sealed: left.unsealed ? left.state : left.sealed };
}

async function change(
  job: Job,
  from: { readonly before: TerraformState; readonly sealed: TerraformState | null },
  operation: Operation,
): Promise<Ended> {
  const { ctx, layout } = job;
  const { before, sealed } = from;
  checkFreeSpace(layout.root, before.bytes.length);
  // A lineage that the store does not know could not be proven to be ours after a crash.
  if (before.serial === 0) await ctx.state.saveProgress(before);
  const first = await changeOnce(job, before, { operation, sealed, forceInit: false });
  if (first.exit.code === 0 || !asksForInit(first.ended.journal.diagnostics)) {
    return await checked(job, first, operation);
  }
  ctx.log(
    "The folder's modules or providers are not those that are needed: they are fetched anew.",
  );
  const { state } = first.ended;
  const second = await changeOnce(job, state, { operation, sealed: state, forceInit: true });
  return await checked(job, second, operation);
}

interface Once {
  readonly exit: ChildExit;
  readonly ended: Ended;
}

async function changeOnce(
  job: Job,
  before: TerraformState,
  how: {
    readonly operation: Operation;
    readonly sealed: TerraformState | null;
    readonly forceInit: boolean;
  },
): Promise<Once> {
  const { ctx, layout, launcher, variables, redact, means } = job;
  const initialised = await ensureInit(job, before, how.forceInit);
  const saved = how.operation === "saved plan" ? ctx.sealedPlan : null;
  let fault: ((error: unknown) => void) | null = null;
  const lost = (error: unknown): void => fault?.(error);
  const journal = new EventJournal(ctx, redact, lost);
  const exit = await runTerraform(launcher, ctx, {
    args: argumentsFor(how.operation, layout.plan),
    lay: async () => {
      await markOrigin(ctx, layout, how.sealed);
      await writePrivate(layout.state, before.bytes);
      if (saved !== null) await writePrivate(layout.plan, saved);
    },
    ...(saved === null ? { variables } : {}),
    outputFile: layout.output,
    onLine: (line) => journal.line(line),
    alongside: (stop) => {
      fault = stop;
      const { state: slot } = ctx;
      const { serial } = before;
      return saveStateAlongside({ path: layout.state, slot, serial, log: means.log, lost });
    },
  });
  removeAll([layout.plan]);
  journal.close();
  const state = await concludeState(job, { before, journal, exit });
  return { exit, ended: { state, journal, initialised } };
}

function argumentsFor(operation: Operation, plan: string): readonly string[] {
  const common = ["apply", "-json", "-input=false"];
  if (operation === "saved plan") return [...common, plan];
  const destroy = operation === "destroy" ? ["-destroy"] : [];
  return [...common, "-auto-approve", ...destroy, "-var-file=/dev/fd/3"];
}

async function checked(job: Job, { exit, ended }: Once, operation: Operation): Promise<Ended> {
  const { ctx, program, redact } = job;
  if (exit.code === 0) return ended;
  const doing = `${program.product} ${operation} of group ${ctx.group}`;
  if (ctx.signal.aborted) {
    throw new GlasshouseError(
      "step-interrupted",
      `${doing} was stopped; what it had made by then is in its state.`,
    );
  }
  const { diagnostics, text } = ended.journal;
  const hasError = diagnostics.some(({ severity }) => severity === "error");
  if (!endedByItself(exit) && !hasError) {
    throw new GlasshouseError(
      "step-interrupted",
      `${doing} was ended by ${exit.signal ?? `exit code ${exit.code}`}: ${redact(text.trim().slice(-500)) || "it said nothing"}`,
    );
  }
  throw errorFrom({ diagnostics, doing, text, redact });
}
