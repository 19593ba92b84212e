import { asGlasshouseError, GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { HostAccess } from "./module-hosts.ts";
import { startChild } from "../../../clients/process/child.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import { tailFile } from "../../../clients/process/tail.ts";
import type { Child, ChildExit } from "../../../clients/process/warden.ts";

/** Terraform's own grace: a provider's call that is under way may take this long to end. */
export const stopsWithinMs = 600_000;

/** How children of one job are started. */
export interface Launcher {
  readonly isolation: Isolation;
  /** Absolute path of the program. */
  readonly program: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly hide: readonly string[];
  readonly expose: readonly string[];
}

export interface Call {
  readonly args: readonly string[];
  /** What `/dev/fd/3` holds. */
  readonly variables?: string;
  /** What this command alone is given, beside that of all of them. */
  readonly access?: HostAccess;
  readonly outputFile: string;
  readonly errorFile?: string;
  readonly onLine?: (line: string) => void;
  /** Lays what it finds in its directory, while its warden starts: it does not begin before that. */
  readonly lay?: () => Promise<void>;
  /** Called when its files are open and it has not begun. */
  readonly opened?: () => void;
  /** Called once it runs; what is returned is called when it has ended. */
  readonly alongside?: (stop: (reason: unknown) => void) => () => Promise<void>;
}

/**
 * Runs one command to its end. One SIGINT when `ctx.signal` is aborted, a kill when `ctx.kill` is. Errors: what `onLine` or
 * `stop` gave, after the child has ended; `step-interrupted` when it was called off before it started.
 */
export async function runTerraform(
  launcher: Launcher,
  ctx: ExecutorContext,
  call: Call,
): Promise<ChildExit> {
  throwIfStopped(ctx);
  const { args, variables, access, outputFile, errorFile } = call;
  const { isolation, program, cwd, hide, expose } = launcher;
  const env = { ...launcher.env, ...access?.env };
  const descriptors = [
    ...(variables === undefined ? [] : [{ fd: 3, content: variables } as const]),
    ...(access?.descriptors ?? []),
  ];
  const laying = call.lay?.() ?? Promise.resolve();
  const starting = startChild(isolation, {
    argv: [program, ...args],
    cwd,
    env,
    hide,
    expose,
    outputFile,
    stopsWithinMs,
    ...(errorFile === undefined ? {} : { errorFile }),
    descriptors,
  });
  const [laid, started] = await Promise.allSettled([laying, starting]);
  if (started.status === "rejected") throw started.reason;
  return await follow(started.value, ctx, { ...call, laid });
}

/** 0 and 1 are its own words; anything else is a signal, a crash or a program that could not be started. */
export function endedByItself(exit: ChildExit): boolean {
  return exit.code === 0 || exit.code === 1;
}

export function throwIfStopped(ctx: ExecutorContext): void {
  if (!ctx.signal.aborted) return;
  throw new GlasshouseError(
    "step-interrupted",
    `Group ${ctx.group} was stopped before it started.`,
  );
}

async function follow(
  child: Child,
  ctx: ExecutorContext,
  call: Call & { readonly laid: PromiseSettledResult<void> },
): Promise<ChildExit> {
  const faults: unknown[] = [];
  const stop = (reason: unknown): void => {
    faults.push(reason);
    child.interrupt();
  };
  const interrupt = (): void => child.interrupt();
  const kill = (): void => child.kill();
  try {
    if (call.laid.status === "rejected") throw call.laid.reason;
    await ctx.childStarted(child);
    ctx.signal.addEventListener("abort", interrupt);
    ctx.kill.addEventListener("abort", kill);
    if (ctx.signal.aborted) interrupt();
    call.opened?.();
    child.go();
    const finish = call.alongside?.(stop);
    await followOutput(child, call, stop);
    await finish?.();
  } catch (error) {
    stop(error);
  } finally {
    ctx.signal.removeEventListener("abort", interrupt);
  }
  const exit = await child.exited;
  ctx.kill.removeEventListener("abort", kill);
  if (faults.length > 0) throw asGlasshouseError(faults[0]);
  if (!exit.started) throwIfStopped(ctx);
  return exit;
}

async function followOutput(
  child: Child,
  { onLine, outputFile }: Call,
  stop: (reason: unknown) => void,
): Promise<void> {
  if (onLine === undefined) {
    await child.exited;
    return;
  }
  try {
    await tailFile(outputFile, { ended: child.exited, onLine, ...tailLimits });
  } catch (error) {
    stop(error);
    await child.exited;
  }
}

/** One event is one line; an object with many attributes makes a long one. */
const tailLimits = { maxBytes: 512 * 1024 * 1024, maxLineLength: 8 * 1024 * 1024 };
