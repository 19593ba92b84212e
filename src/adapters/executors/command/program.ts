import { watch, type FSWatcher } from "node:fs";
import { lstat, mkdir, rm } from "node:fs/promises";
import { join, posix } from "node:path";
import { startChild } from "../../../clients/process/child.ts";
import {
  inheritedEnvironment,
  secretGrants,
  type Grants,
} from "../../../clients/process/environment.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import { tailFile } from "../../../clients/process/tail.ts";
import type { Child, ChildExit } from "../../../clients/process/warden.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { maskSecrets, secretsOf } from "../../../domain/value.ts";
import { Mask } from "../../../lib/mask.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { readResult } from "./result.ts";
import { isTemplateProgram, type CommandSettings, type Operation } from "./settings.ts";

/** What the programs of one server have in common. */
export interface ProgramHost {
  readonly isolation: Isolation;
  /** The server's own environment; an allow-list of it is passed on. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What the operator grants to commands of this template. */
  readonly grants: (template: string) => Grants;
  /** Directories of the server that programs may not see. */
  readonly hide: readonly string[];
  /** How long a program may take to stop after its SIGINT. */
  readonly graceMs: number;
}

export interface Ran {
  readonly exit: ChildExit;
  /** Where its result would be. */
  readonly resultPath: string;
  /** Knows the secrets that it was given. */
  readonly mask: Mask;
  /** The last line that it wrote, masked; for messages. */
  readonly lastLine: string;
}

/**
 * Runs one of a group's commands to its end and gives its output to the log. A stop that was asked for is passed on as
 * one SIGINT, then waited for as long as the program takes; `ctx.kill` ends it at once. Errors: `step-interrupted` when
 * it was stopped before it succeeded, `step-failed` when it cannot be started.
 */
export async function runProgram(
  host: ProgramHost,
  ctx: ExecutorContext,
  of: {
    readonly operation: Operation;
    readonly argv: readonly string[];
    readonly settings: CommandSettings;
  },
): Promise<Ran> {
  checkNotStopped(ctx, of.operation);
  const place = await preparePlace(ctx, of.argv[0] ?? "");
  const mask = new Mask();
  const grants = host.grants(ctx.template.name);
  for (const value of secretGrants(grants)) mask.add(value);
  const child = await startChild(host.isolation, {
    argv: of.argv,
    cwd: place.files,
    env: environmentOf(host, ctx, { env: of.settings.env, grants, resultPath: place.result }),
    stdin: await inputDocument(ctx, of.settings, mask),
    outputFile: place.output,
    hide: host.hide,
    expose: [place.visible],
    stopsWithinMs: host.graceMs,
    leavesProcesses: of.settings.leavesProcesses,
  });
  const lastLine = await superviseChild(child, ctx, { host, place, mask, operation: of.operation });
  const exit = await child.exited;
  if (exit.code !== 0 && (ctx.signal.aborted || ctx.kill.aborted))
    throw new GlasshouseError(
      "step-interrupted",
      `${of.operation} of group ${ctx.group} was stopped before it was done (${endOf(exit)}).`,
    );
  return { exit, resultPath: place.result, mask, lastLine };
}

/** How a program ended, in words. */
export function endOf({ code, signal, started }: ChildExit): string {
  if (!started) return "it was never started";
  if (signal !== null) return `it was ended by ${signal}`;
  if (code === 127) return "exit code 127: it, or what its first line names, does not exist";
  if (code === 126)
    return "exit code 126: it is not executable, or what its first line names is not";
  return `exit code ${code}`;
}

interface Place {
  /** All that the program sees of the server's data. */
  readonly visible: string;
  readonly files: string;
  readonly result: string;
  /** Out of its sight, so that it cannot be swapped for a link. */
  readonly output: string;
}

function checkNotStopped(ctx: ExecutorContext, operation: Operation): void {
  if (!ctx.signal.aborted) return;
  throw new GlasshouseError(
    "step-interrupted",
    `${operation} of group ${ctx.group} was stopped before it began.`,
  );
}

async function preparePlace(ctx: ExecutorContext, program: string): Promise<Place> {
  const visible = join(ctx.workDirectory, "run");
  const place = {
    visible,
    files: join(visible, "template"),
    result: join(visible, "result.json"),
    output: join(ctx.workDirectory, "output.log"),
  };
  if (isTemplateProgram(program) && !ctx.files.paths.includes(posix.normalize(program)))
    throw new GlasshouseError(
      "step-failed",
      `The program ${program} of group ${ctx.group} is not a file of template ${ctx.template.name}@${ctx.template.version}.`,
    );
  await mkdir(visible, { recursive: true, mode: 0o700 });
  await rm(place.result, { force: true, recursive: true });
  // What an earlier program left in place of the folder must not lead the copy elsewhere.
  const found = await lstat(place.files).catch(() => null);
  if (found !== null && !found.isDirectory()) await rm(place.files, { force: true });
  await ctx.files.materialise("", place.files);
  return place;
}

function environmentOf(
  host: ProgramHost,
  ctx: ExecutorContext,
  of: { readonly env: Grants; readonly grants: Grants; readonly resultPath: string },
): Readonly<Record<string, string>> {
  return {
    ...inheritedEnvironment(host.environment),
    ...of.env,
    ...of.grants,
    GLASSHOUSE_ENVIRONMENT: ctx.environment.id,
    GLASSHOUSE_ENVIRONMENT_NAME: ctx.environment.name,
    GLASSHOUSE_TEMPLATE: ctx.template.name,
    GLASSHOUSE_GROUP: ctx.group,
    GLASSHOUSE_STEP: ctx.stepId,
    GLASSHOUSE_OWNER: ctx.owner,
    GLASSHOUSE_RESULT: of.resultPath,
    ...(ctx.traceparent === null ? {} : { TRACEPARENT: ctx.traceparent }),
  };
}

/** One JSON document. Plain secrets are in its `inputs` and nowhere else; the mask learns them. */
async function inputDocument(
  ctx: ExecutorContext,
  settings: CommandSettings,
  mask: Mask,
): Promise<string> {
  for (const secret of secretsOf(settings.inputs)) {
    const plain = await ctx.reveal(secret);
    if (typeof plain === "string") mask.add(plain);
  }
  return JSON.stringify({
    environment: ctx.environment,
    group: ctx.group,
    parameters: ctx.parameters,
    inputs: await ctx.reveal(settings.inputs),
    outputs: maskSecrets(ctx.previous?.outputs ?? {}),
  });
}

/** From the stored intent to the end of the output. Returns the last line. */
async function superviseChild(
  child: Child,
  ctx: ExecutorContext,
  of: {
    readonly host: ProgramHost;
    readonly place: Place;
    readonly mask: Mask;
    readonly operation: Operation;
  },
): Promise<string> {
  let lastLine = "";
  const output = tailFile(of.place.output, {
    mask: of.mask,
    ended: child.exited,
    onLine: (line) => {
      if (line.trim() !== "") lastLine = line;
      ctx.log(line);
    },
  });
  // A tail that fails is seen when it is waited for.
  output.catch(() => undefined);
  const progress = watchProgress(of.place, ctx, of.mask);
  const stops = passStops(child, ctx, of);
  try {
    await ctx.childStarted(child.identity);
    child.go();
    await output;
    return lastLine.slice(0, 500);
  } catch (error) {
    child.interrupt();
    await child.exited;
    await output.catch(() => undefined);
    throw error;
  } finally {
    stops();
    progress();
  }
}

/** Hands the wish to stop on to the child. The returned function forgets it. */
function passStops(
  child: Child,
  ctx: ExecutorContext,
  { host, operation }: { readonly host: ProgramHost; readonly operation: Operation },
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const interrupt = (): void => {
    child.interrupt();
    ctx.log(`[glasshouse] ${operation} was asked to stop`);
    timer = setTimeout(() => {
      ctx.log(
        `[glasshouse] ${operation} still runs ${host.graceMs / 1000} s after it was asked to stop; cancel again to kill it`,
      );
    }, host.graceMs);
  };
  const kill = (): void => child.kill();
  if (ctx.signal.aborted) interrupt();
  else ctx.signal.addEventListener("abort", interrupt, { once: true });
  if (ctx.kill.aborted) kill();
  else ctx.kill.addEventListener("abort", kill, { once: true });
  return () => {
    clearTimeout(timer);
    ctx.signal.removeEventListener("abort", interrupt);
    ctx.kill.removeEventListener("abort", kill);
  };
}

/** Shows progress whenever the program writes its result file, at most every 200 ms. */
function watchProgress(place: Place, ctx: ExecutorContext, mask: Mask): () => void {
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    timer = undefined;
    // A half-written file is no progress; the next change brings another look.
    const result = await readResult(place.result).catch(() => null);
    const progress = result?.progress;
    if (progress !== undefined)
      ctx.progress({ ...progress, message: mask.apply(progress.message) });
  };
  const change = (_event: string, name: string | null): void => {
    if (name === "result.json") timer ??= setTimeout(() => void look(), 200);
  };
  const watcher = watchOrNull(place.visible, change);
  return () => {
    clearTimeout(timer);
    watcher?.close();
  };
}

/** Without it (too many watches on this machine) there is no progress to see, and nothing else is lost. */
function watchOrNull(
  path: string,
  change: (event: string, name: string | null) => void,
): FSWatcher | null {
  try {
    const watcher = watch(path, change);
    return watcher.on("error", () => watcher.close());
  } catch {
    return null;
  }
}
