import { lstat, mkdir, rm } from "node:fs/promises";
import { join, posix } from "node:path";
import { startChild } from "../../../clients/process/child.ts";
import {
  inheritedEnvironment,
  grantedVariables,
  secretGrants,
  withLent,
  type Grants,
} from "../../../clients/process/environment.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import type { ChildExit } from "../../../clients/process/warden.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { maskSecrets, secretsOf } from "../../../domain/value.ts";
import { Mask } from "../../../lib/mask.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { isTemplateProgram, type CommandSettings, type Operation } from "./settings.ts";
import { superviseChild, type Place } from "./supervise.ts";

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
  const grants = withLent(host.grants(ctx.template.name), ctx.lent);
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
  const lastLine = await superviseChild(child, ctx, {
    graceMs: host.graceMs,
    place,
    mask,
    operation: of.operation,
  });
  const exit = await child.exited;
  if (!exit.started || (exit.code !== 0 && (ctx.signal.aborted || ctx.kill.aborted)))
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

function checkNotStopped(ctx: ExecutorContext, operation: Operation): void {
  if (!ctx.signal.aborted) return;
  throw new GlasshouseError(
    "step-interrupted",
    `${operation} of group ${ctx.group} was stopped before it began.`,
  );
}

/**
 * Removes a program's output and result: both are as it wrote them, so a secret may stand there in clear. What was to be
 * kept of them is in the log and the outputs by now. Also those of an attempt that a crash cut off.
 */
export async function removeTraces(ctx: Pick<ExecutorContext, "workDirectory">): Promise<void> {
  const { output, result } = placeOf(ctx);
  await rm(output, { force: true });
  await rm(result, { force: true, recursive: true });
}

function placeOf({ workDirectory }: Pick<ExecutorContext, "workDirectory">): Place {
  const visible = join(workDirectory, "run");
  return {
    visible,
    files: join(visible, "template"),
    result: join(visible, "result.json"),
    output: join(workDirectory, "output.log"),
  };
}

async function preparePlace(ctx: ExecutorContext, program: string): Promise<Place> {
  const place = placeOf(ctx);
  const { visible } = place;
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
  await mkdir(place.files, { recursive: true, mode: 0o700 });
  await ctx.files.materialise("", place.files);
  return place;
}

function environmentOf(
  host: ProgramHost,
  ctx: ExecutorContext,
  of: {
    readonly env: Readonly<Record<string, string>>;
    readonly grants: Grants;
    readonly resultPath: string;
  },
): Readonly<Record<string, string>> {
  return {
    ...inheritedEnvironment(host.environment),
    ...of.env,
    ...grantedVariables(of.grants),
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
