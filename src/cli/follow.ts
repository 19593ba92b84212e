import { parseDuration } from "../lib/duration.ts";
import { routeOf, type CommandView, type RunView, type StepView } from "../contract/rest.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { ServerError, UsageError } from "./failure.ts";
import { liveEvents } from "./live.ts";
import { isAborted, pause } from "./pause.ts";
import { newProgress, type Progress } from "./progress.ts";
import {
  isEnded,
  needsSomebody,
  plainReason,
  RunModel,
  waysOn,
  type ShownStep,
} from "./run-model.ts";
import { safe } from "./text.ts";

/** How watching a run came to its end. */
export type Followed =
  | { readonly end: "ended" | "waiting"; readonly run: RunView }
  | { readonly end: "timeout" }
  | { readonly end: "interrupted" };

export interface FollowLimits {
  readonly timeoutMs: number | null;
}

const resyncMs = 5_000;
const mostSteps = 20_000;

/** Watches a run to its end and shows its steps. Ctrl-C ends the watching only. */
export async function followRun(
  call: Pick<Call, "terminal">,
  api: Api,
  of: {
    readonly run: string;
    readonly title: string;
    /** Leaves out what had ended before this time of the server, and counts times from it on. */
    readonly since?: string;
  } & FollowLimits,
): Promise<Followed> {
  const stop = new AbortController();
  const forget = call.terminal.onInterrupt(() => stop.abort("interrupted"));
  const timer =
    of.timeoutMs === null ? null : setTimeout(() => stop.abort("timeout"), of.timeoutMs);
  try {
    const run = await watch(call, api, {
      run: of.run,
      title: of.title,
      since: of.since ?? null,
      stop,
    });
    if (run !== null) return { end: isEnded(run) ? "ended" : "waiting", run };
    return cutShort(stop.signal);
  } catch (error) {
    if (isCutShort(stop.signal)) return cutShort(stop.signal);
    throw error;
  } finally {
    forget();
    if (timer !== null) clearTimeout(timer);
    stop.abort();
  }
}

function isCutShort({ reason }: AbortSignal): boolean {
  return reason === "timeout" || reason === "interrupted";
}

function cutShort({ reason }: AbortSignal): Followed {
  return reason === "timeout" ? { end: "timeout" } : { end: "interrupted" };
}

interface Watched {
  readonly run: string;
  readonly title: string;
  readonly since: string | null;
  readonly stop: AbortController;
}

async function watch(
  { terminal }: Pick<Call, "terminal">,
  api: Api,
  { run, title, since, stop }: Watched,
): Promise<RunView | null> {
  const { position } = await api.get(routeOf("getInfo"));
  const first = await reading(api, run);
  const model = new RunModel(first.run, first.steps, since);
  const progress = newProgress(terminal, model, { title });
  try {
    progress.changed(
      [...model.steps.values()].filter((step) => hasBegun(step) && !model.isOld(step)),
    );
    const tellWait = waitTeller(model, progress);
    tellWait();
    const settled = (): boolean => isEnded(model.run) || needsSomebody(model.run);
    const looking = resync(api, {
      run,
      stop,
      take: (now) => {
        progress.changed(model.read(now.run, now.steps));
        tellWait();
      },
    });
    if (!settled()) {
      for await (const event of liveEvents(api, { run, after: position, signal: stop.signal })) {
        progress.changed(model.apply(event));
        tellWait();
        if (settled()) break;
      }
    }
    const given = isCutShort(stop.signal);
    stop.abort();
    await looking;
    if (given) return null;
    const last = await reading(api, run);
    progress.changed(model.read(last.run, last.steps).filter((step) => hasBegun(step)));
    const skipped = last.run.progress.skipped - model.oldSkipped;
    if (skipped > 0) progress.say(`${skipped} unchanged: nothing to do for them`);
    return last.run;
  } finally {
    progress.end();
  }
}

/** Says what the run waits for before it can begin or go on, each time that this changes. What steps wait for stands in their lines. */
function waitTeller(model: RunModel, progress: Pick<Progress, "say">): () => void {
  let told: string | null = null;
  return () => {
    const { blocker, reason, status } = model.run;
    const isQueued = status === "queued" && blocker !== null && reason !== null;
    const queued = isQueued ? `it is queued: ${plainReason(reason)}` : null;
    const wait = blocker?.kind === "worker" ? `it ${reason ?? ""}` : queued;
    if (wait !== null && wait !== told) progress.say(wait);
    told = wait;
  };
}

/** Those that never began are told by their number. */
function hasBegun({ status }: ShownStep): boolean {
  return status !== "blocked" && status !== "ready" && status !== "skipped";
}

interface Reading {
  readonly run: RunView;
  readonly steps: readonly StepView[];
}

async function reading(api: Api, run: string): Promise<Reading> {
  const params = { run };
  const { items } = await api.all(routeOf("listRunSteps"), { params, limit: mostSteps });
  return { run: await api.get(routeOf("getRun"), { params }), steps: items };
}

/** Reads the run now and then, should events be held back on their way; at its end it ends the watching. */
async function resync(
  api: Api,
  { run, stop, take }: { run: string; stop: AbortController; take: (now: Reading) => void },
): Promise<void> {
  const { signal } = stop;
  while (!isAborted(signal)) {
    await pause(resyncMs, signal);
    if (isAborted(signal)) return;
    const now = await api.get(routeOf("getRun"), { params: { run } }).catch(() => null);
    if (now === null || !(isEnded(now) || needsSomebody(now))) continue;
    const last = await reading(api, run).catch(() => null);
    if (last === null) continue;
    take(last);
    stop.abort();
  }
}

/** What `--wait`, `--no-wait`, `--watch` and `--timeout` say; on a terminal waiting is the default. */
export function waitChoice(call: Call): { readonly wait: boolean } & FollowLimits {
  const asked = call.options.choice("wait");
  const timeout = call.options.text("timeout");
  const timeoutMs = timeout === undefined ? null : parseDuration(timeout);
  if (timeout !== undefined && timeoutMs === null)
    throw new UsageError(`--timeout takes a duration such as 5m, not "${timeout}".`);
  const terminal = call.terminal.outIsTerminal || call.terminal.errIsTerminal;
  return { wait: call.options.flag("watch") || (asked ?? terminal), timeoutMs };
}

/** The run that a command led to. Waits for it where the command was stored but its run is not known yet. */
export async function runOfCommand(api: Api, command: CommandView): Promise<string | null> {
  let seen = command;
  for (let looks = 0; looks < 50 && seen.run === null && seen.status === "accepted"; looks += 1) {
    await pause(100, new AbortController().signal);
    seen = await api.get(routeOf("getCommand"), { params: { command: seen.id } });
  }
  refuseFailed(seen);
  return seen.run;
}

/** A command may be taken and still come to nothing. */
export function refuseFailed(command: CommandView): void {
  if (command.status !== "refused" && command.status !== "failed") return;
  const { error } = command;
  throw new ServerError({
    code: error?.code ?? "internal",
    status: 409,
    detail: error?.message ?? `The command ${command.id} was ${command.status}.`,
    advice: "",
    errors: error?.details?.map(({ message }) => ({ message })) ?? [],
    traceId: "",
  });
}

/** Says how a run ended and returns the exit code. */
export function reportEnd(call: Call, run: string, followed: Followed): number {
  const { terminal } = call;
  if (followed.end === "interrupted") {
    terminal.err(
      `Stopped watching; the run goes on. \`glasshouse run watch ${run}\` watches again, \`glasshouse run cancel ${run}\` cancels it.\n`,
    );
    return 130;
  }
  if (followed.end === "timeout") {
    terminal.err(
      `Not done in time; the run goes on. \`glasshouse run watch ${run}\` watches it.\n`,
    );
    return 124;
  }
  return reportRun(call, followed.run);
}

function reportRun({ terminal }: Call, run: RunView): number {
  if (run.status === "succeeded") return 0;
  if (run.status === "waiting") {
    const why = plainReason(run.reason ?? run.blocker?.kind ?? "");
    terminal.err(`The run ${run.id} waits: ${safe(why)}\n`);
    for (const on of run.blocker?.on ?? []) terminal.err(`  ${safe(plainReason(on))}\n`);
    terminal.err(`${waysOn(run)}\n`);
    return 1;
  }
  terminal.err(
    `The run ${run.id} ${run.status === "failed" ? "failed" : `was ${run.status}`}${run.reason === null ? "" : `: ${safe(plainReason(run.reason))}`}\n`,
  );
  if (run.status === "failed")
    terminal.err(
      `\`glasshouse run logs ${run.id}\` shows its output, \`glasshouse run retry ${run.id}\` tries again what failed.\n`,
    );
  return run.status === "superseded" ? 5 : 1;
}
