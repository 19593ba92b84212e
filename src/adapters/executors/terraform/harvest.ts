import { readFile } from "node:fs/promises";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Change } from "../../../domain/resource.ts";
import type { ExecutorContext, StateCopy, StateSlot } from "../../../ports/executor.ts";
import { actionOf } from "./changes.ts";
import type { Layout } from "./directory.ts";
import { leftovers, readIfThere } from "./directory.ts";
import type { HookEvent, StreamEvent } from "./events.ts";
import { parseEvent } from "./events.ts";
import { suspectedLeaks } from "./leaks.ts";
import type { Leak } from "./notes.ts";
import { recollect } from "./notes.ts";
import { isNewestHere } from "./origin.ts";
import type { TerraformState } from "./state-file.ts";
import { parseState } from "./state-file.ts";

/** What is left of earlier attempts, on this disk and in the store, put together. */
export interface Harvest {
  /** The newest whole state of the right lineage, or null when there never was one. */
  readonly state: TerraformState | null;
  /** The last sealed version. */
  readonly sealed: TerraformState | null;
  /** Something of an attempt that did not come to its end is here, and `state` is not sealed. */
  readonly unsealed: boolean;
  /** Found now, and found by earlier attempts of this step and not accepted. */
  readonly leaks: readonly Leak[];
  /** The last attempt's program said that it was done, without a mistake. Its result was not recorded. */
  readonly finished: boolean;
  /** What that program had planned. */
  readonly changes: readonly Change[];
}

export interface Copies {
  /** The last version. */
  readonly sealed: TerraformState | null;
  /** The last copy from while it was changed. */
  readonly progress: TerraformState | null;
}

/**
 * Reads, changes nothing. Files on this disk count while nobody elsewhere has gone on from what the store had (origin.ts). A state counts only when it parses, with the lineage of the last copy and a serial not below
 * it; otherwise the last copy stands. Whatever state that gives is compared with what the events say was created.
 */
export async function harvest(
  ctx: ExecutorContext,
  layout: Layout,
  copies: Promise<Copies> = copiesOf(ctx.state),
): Promise<Harvest> {
  const { sealed, progress } = await copies;
  const isNewest = await isNewestHere(ctx, layout, sealed);
  if (!isNewest)
    ctx.log("Files of an attempt that others have gone on from lie here; they do not count.");
  const [files, output] = isNewest
    ? await Promise.all([
        Promise.all(leftovers(layout).map(readIfThere)),
        readOutput(layout.output),
      ])
    : [[], silence];
  const candidates = [sealed, progress, ...files.map((bytes) => bytes && parseState(bytes))];
  const state = newest(candidates);
  const memory = recollect(ctx.attempts);
  const events = [...memory.events, ...output.events];
  const found = suspectedLeaks({ events, base: sealed, state, clean: output.finished });
  const leaks = new Map([...memory.leaks, ...found].map((leak) => [leak.address, leak]));
  return {
    state,
    sealed,
    unsealed: state !== null && (events.length > 0 || state.serial !== sealed?.serial),
    leaks: [...leaks.values()].filter(({ address }) => !ctx.acceptedLeaks.includes(address)),
    finished: output.finished,
    changes: output.changes,
  };
}

/** Of states with the first one's lineage the one with the highest serial; of equals the last. */
export function newest(candidates: readonly (TerraformState | null)[]): TerraformState | null {
  let best: TerraformState | null = null;
  for (const state of candidates) {
    if (state === null || (best !== null && state.lineage !== best.lineage)) continue;
    if (best === null || state.serial >= best.serial) best = state;
  }
  return best;
}

/** What the store has. Errors: as `parseCopy`. */
export async function copiesOf(slot: StateSlot): Promise<Copies> {
  const [latest, inProgress] = await Promise.all([slot.latest(), slot.inProgress()]);
  return { sealed: parseCopy(latest), progress: parseCopy(inProgress) };
}

/** A copy in the store was whole when it was put there. Errors: `state-missing` when it is not any more. */
export function parseCopy(copy: StateCopy | null): TerraformState | null {
  if (copy === null) return null;
  const state = parseState(copy.bytes);
  if (state !== null) return state;
  throw new GlasshouseError(
    "state-missing",
    `The stored state (serial ${copy.serial}, lineage ${copy.lineage}) cannot be read. Nothing is changed without it: restore it from a backup.`,
  );
}

interface Output {
  readonly events: readonly HookEvent[];
  readonly changes: readonly Change[];
  readonly finished: boolean;
}

const silence: Output = { events: [], changes: [], finished: false };

/** Terraform writes its events into this file itself, so it knows more than the notes, which are up to a second late. */
async function readOutput(path: string): Promise<Output> {
  const text = await readFile(path, "utf8").catch(() => "");
  const parsed = text.split("\n").map((line) => parseEvent(line));
  return {
    events: parsed.flatMap((event) => (event.kind === "hook" ? [event.hook] : [])),
    changes: parsed.flatMap((event) =>
      event.kind === "change" ? [{ address: event.address, action: actionOf([event.action]) }] : [],
    ),
    finished: parsed.some(isEnd) && !parsed.some(isError),
  };
}

function isEnd(event: StreamEvent): boolean {
  return event.kind === "summary" && event.operation !== "plan";
}

function isError(event: StreamEvent): boolean {
  return event.kind === "diagnostic" && event.diagnostic.severity === "error";
}
