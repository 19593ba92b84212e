import { GlasshouseError } from "../../../domain/errors.ts";
import type { Change } from "../../../domain/resource.ts";
import { maskSecrets } from "../../../domain/value.ts";
import { isJsonObject } from "../../../lib/json.ts";
import type {
  Executor,
  ExecutorContext,
  ExecutorResult,
  Foreseeable,
  Observation,
  Settlement,
} from "../../../ports/executor.ts";
import { endOf, removeTraces, runProgram, type ProgramHost, type Ran } from "./program.ts";
import { changesOf, observedOf, readResult, sealOutputs } from "./result.ts";
import {
  filesOf,
  parseSettings,
  parseSettingsToDestroy,
  settingsShape,
  validateSettings,
  type CommandSettings,
  type Operation,
} from "./settings.ts";

export type { ProgramHost } from "./program.ts";

/**
 * Groups made by programs: a file of the template or a program on PATH. Exit code 0 is success, 75 (EX_TEMPFAIL) may pass
 * when it is tried again, anything else is final. `observe`: 0 there and right, 3 absent, 4 drifted.
 */
export function commandExecutor(host: ProgramHost): Executor {
  return {
    name: "command",
    behaviour: 1,
    settings: settingsShape,
    filesOf,
    validate: validateSettings,
    plan: (ctx) => Promise.resolve({ changes: foresee(ctx), saved: null }),
    foresee,
    apply: (ctx) => swept(ctx, () => apply(host, ctx)),
    destroy: (ctx) => swept(ctx, () => destroy(host, ctx)),
    observe: (ctx) => swept(ctx, () => observe(host, ctx)),
    settle: (ctx) => swept(ctx, () => settle(host, ctx)),
  };
}

/** Does it, and whatever comes of it leaves nothing behind that a program wrote for us unmasked. */
async function swept<T>(ctx: ExecutorContext, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } finally {
    await removeTraces(ctx);
  }
}

const temporaryFailure = 75;
const absent = 3;
const drifted = 4;

/** A program cannot say beforehand what it will do, so the plan is the change of what it is given. */
function foresee(of: Foreseeable): readonly Change[] {
  const after = maskSecrets(of.settings);
  if (!wasCreated(of)) return [{ address: of.group, action: "create", after }];
  const before = maskSecrets(of.previous?.settings ?? {});
  return [{ address: of.group, action: "update", before, after }];
}

async function apply(host: ProgramHost, ctx: ExecutorContext): Promise<ExecutorResult> {
  const settings = parseSettings(ctx.settings);
  const updates = wasCreated(ctx);
  const operation = updates && settings.commands.update !== undefined ? "update" : "create";
  const ran = await run(host, ctx, { operation, settings });
  if (ran === null)
    throw new GlasshouseError("internal", `Group ${ctx.group} has no command to create it.`);
  if (ran.exit.code !== 0) throw failure(ctx, operation, ran);
  return await resultOf(ctx, ran, updates ? "update" : "create");
}

/** Without a `destroy` command there is nothing to take down. A failed one is success when `observe` proves it gone. */
async function destroy(host: ProgramHost, ctx: ExecutorContext): Promise<void> {
  const settings = parseSettingsToDestroy(ctx.settings);
  const ran = await run(host, ctx, { operation: "destroy", settings });
  if (ran === null) ctx.log("[glasshouse] no destroy command: nothing is taken down");
  if (ran === null || ran.exit.code === 0) return;
  const fault = failure(ctx, "destroy", ran);
  if (settings.commands.observe === undefined) throw fault;
  ctx.log("[glasshouse] destroy failed; looking whether it is gone");
  const seen = await run(host, ctx, { operation: "observe", settings });
  if (seen?.exit.code !== absent) throw fault;
}

async function observe(host: ProgramHost, ctx: ExecutorContext): Promise<Observation> {
  const ran = await run(host, ctx, { operation: "observe", settings: parseSettings(ctx.settings) });
  if (ran === null) {
    ctx.log("[glasshouse] no observe command: nothing was looked at");
    return { drift: "unknown", changes: [], observed: [], outputs: null };
  }
  const action = observationOf(ran);
  if (action === null) throw failure(ctx, "observe", ran);
  if (action === "absent")
    return { drift: "missing", changes: [change(ctx, "create")], observed: [], outputs: null };
  const result = await readResult(ran.resultPath);
  const changes = changesOf(result, ran.mask);
  return {
    drift: action === "drifted" ? "drifted" : "none",
    changes: action === "drifted" && changes.length === 0 ? [change(ctx, "update")] : changes,
    observed: observedOf(result, ran.mask),
    outputs: await sealOutputs(ctx, result, ran.mask),
  };
}

async function settle(
  host: ProgramHost,
  ctx: ExecutorContext & { readonly operation: "apply" | "destroy" },
): Promise<Settlement> {
  if (!mayHaveBegun(ctx)) return { kind: "again" };
  const settings = (ctx.operation === "destroy" ? parseSettingsToDestroy : parseSettings)(
    ctx.settings,
  );
  const ran = await run(host, ctx, { operation: "observe", settings });
  if (ran !== null) return await settleBy(ran, ctx);
  if (settings.repeatable) return { kind: "again" };
  return {
    kind: "ask",
    reason: "outcome-unknown",
    detail: `the ${ctx.operation === "apply" ? "command" : "destroy command"} of group ${ctx.group} was cut off, and it has no \`observe\` command to look with and is not \`repeatable\``,
    addresses: [ctx.group],
  };
}

/**
 * A child's identity is stored before it is let go, so an attempt without one has begun nothing. All attempts since the
 * last known outcome count, not the last alone: that one may have been cut off before it could look at what an earlier did.
 */
function mayHaveBegun({ attempts }: ExecutorContext): boolean {
  const known = attempts.findLastIndex(
    ({ outcome }) => outcome !== null && outcome !== "unknown" && outcome !== "interrupted",
  );
  return attempts.slice(known + 1).some(({ child }) => child !== null);
}

async function settleBy(
  ran: Ran,
  ctx: ExecutorContext & { readonly operation: "apply" | "destroy" },
): Promise<Settlement> {
  const seen = observationOf(ran);
  if (seen === null) throw failure(ctx, "observe", ran);
  const done = ctx.operation === "apply" ? seen === "right" : seen === "absent";
  if (!done) return { kind: "again" };
  const action = wasCreated(ctx) ? "update" : "create";
  return { kind: "done", result: await resultOf(ctx, ran, action) };
}

/** Runs one command of the group; null when it has none of this name. */
async function run(
  host: ProgramHost,
  ctx: ExecutorContext,
  { operation, settings }: { readonly operation: Operation; readonly settings: CommandSettings },
): Promise<Ran | null> {
  const argv = settings.commands[operation];
  return argv === undefined ? null : await runProgram(host, ctx, { operation, argv, settings });
}

function observationOf({ exit }: Ran): "right" | "absent" | "drifted" | null {
  if (exit.code === 0) return "right";
  if (exit.code === absent) return "absent";
  return exit.code === drifted ? "drifted" : null;
}

async function resultOf(
  ctx: ExecutorContext,
  ran: Ran,
  action: "create" | "update",
): Promise<ExecutorResult> {
  const result = await readResult(ran.resultPath);
  return {
    outputs: await sealOutputs(ctx, result, ran.mask),
    observed: observedOf(result, ran.mask),
    changes: [change(ctx, action)],
    memory: { created: true },
  };
}

/** A record alone does not mean that: a first attempt that failed leaves one too, and a look may have found it gone. */
function wasCreated({ previous }: Pick<ExecutorContext, "previous">): boolean {
  if (previous?.drift === "missing") return false;
  return isJsonObject(previous?.memory) && previous.memory["created"] === true;
}

function change(ctx: ExecutorContext, action: Change["action"]): Change {
  return { address: ctx.group, action };
}

function failure(ctx: ExecutorContext, operation: Operation, ran: Ran): GlasshouseError {
  const last = ran.lastLine === "" ? "It wrote nothing." : `Its last line: ${ran.lastLine}`;
  const what = `${operation} of group ${ctx.group} failed (${endOf(ran.exit)}). ${last}`;
  if (ran.exit.code === temporaryFailure)
    return new GlasshouseError("provider-failed", `${what} It says that this may pass.`);
  return new GlasshouseError("step-failed", what);
}
