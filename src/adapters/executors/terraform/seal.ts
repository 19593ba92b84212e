import { setTimeout as sleep } from "node:timers/promises";
import { mayPass } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { Layout } from "./directory.ts";
import { leavesUnanswered } from "./diagnostics.ts";
import { cleanAfterApply, leftovers, readIfThere } from "./directory.ts";
import type { EventJournal } from "./event-journal.ts";
import type { Harvest } from "./harvest.ts";
import type { ChildExit } from "../../../clients/process/warden.ts";
import { newest } from "./harvest.ts";
import type { Job } from "./job.ts";
import { leakError, suspectedLeaks } from "./leaks.ts";
import { leaksNote, sealedNote } from "./notes.ts";
import type { Leak } from "./notes.ts";
import type { TerraformState } from "./state-file.ts";
import { parseState } from "./state-file.ts";
import { endedByItself } from "./terraform-process.ts";

/**
 * Seals what an earlier attempt left and cleans the directory. The order makes it safe to cut off anywhere: leaks first,
 * then the state, then the word that the events are dealt with, then the files.
 */
export async function sealHarvest(
  ctx: ExecutorContext,
  layout: Layout,
  left: Harvest,
): Promise<void> {
  if (left.state !== null && left.unsealed)
    await seal(ctx, left.state, { leaks: left.leaks, tell: true });
  cleanAfterApply(layout);
}

/**
 * After the program ended: the state it left, sealed; the last known one when it left none. Errors: `suspected-leak` when
 * the state lacks what was created.
 */
export async function concludeState(
  job: Job,
  run: {
    readonly before: TerraformState;
    readonly journal: EventJournal;
    readonly exit: ChildExit;
  },
): Promise<TerraformState> {
  const { ctx, layout } = job;
  const [files, copy] = await Promise.all([
    Promise.all(leftovers(layout).map(readIfThere)),
    ctx.state.inProgress(),
  ]);
  // A program that was killed may have left half a state; then the last copy from while it ran stands.
  const states = [copy?.bytes ?? null, ...files].map((bytes) => bytes && parseState(bytes));
  const state = newest([run.before, ...states]) ?? run.before;
  const { events, diagnostics } = run.journal;
  const { before, exit } = run;
  const clean = endedByItself(exit) && !leavesUnanswered(diagnostics);
  const leaks = suspectedLeaks({ events, base: before, state, clean });
  // After success every event has its completion, so the state alone tells; the word costs a commit of its own.
  await seal(ctx, state, { leaks, tell: exit.code !== 0 });
  cleanAfterApply(layout);
  const open = leaks.filter(({ address }) => !ctx.acceptedLeaks.includes(address));
  if (open.length > 0) throw leakError(ctx.group, open);
  return state;
}

async function seal(
  ctx: ExecutorContext,
  state: TerraformState,
  { leaks, tell }: { readonly leaks: readonly Leak[]; readonly tell: boolean },
): Promise<void> {
  if (leaks.length > 0) await patiently(ctx, () => ctx.note(leaksNote(leaks)));
  await patiently(ctx, () => ctx.state.saveVersion(state));
  if (tell) await patiently(ctx, () => ctx.note(sealedNote(state.serial)));
}

const retryEveryMs = 2000;

/** A finished outcome is held while the disk is full or the store away; it is never thrown away for that. */
async function patiently(ctx: ExecutorContext, write: () => Promise<void>): Promise<void> {
  for (let told = false; ; told = true) {
    try {
      return await write();
    } catch (error) {
      if (!mayPass(error) || ctx.kill.aborted) throw error;
      if (!told)
        ctx.log(`The outcome cannot be stored yet (${error.code}); it is kept and tried again.`);
      await sleep(retryEveryMs, undefined, { signal: ctx.kill }).catch(() => undefined);
    }
  }
}
