import { watch, type FSWatcher } from "node:fs";
import { tailFile } from "../../../clients/process/tail.ts";
import type { Child } from "../../../clients/process/warden.ts";
import type { Mask } from "../../../lib/mask.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { readResult } from "./result.ts";
import type { Operation } from "./settings.ts";

/** Where a program runs. */
export interface Place {
  /** All that the program sees of the server's data. */
  readonly visible: string;
  readonly files: string;
  readonly result: string;
  /** Out of its sight, so that it cannot be swapped for a link. */
  readonly output: string;
}

/**
 * From the stored intent to the end of the output, which goes to the log. A stop is passed on as one SIGINT, a kill at once.
 * Returns the last line that was not empty, masked. Rejects when the intent cannot be stored; then nothing was started.
 */
export async function superviseChild(
  child: Child,
  ctx: ExecutorContext,
  of: {
    readonly graceMs: number;
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
    await ctx.childStarted(child);
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
  { graceMs, operation }: { readonly graceMs: number; readonly operation: Operation },
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const interrupt = (): void => {
    child.interrupt();
    ctx.log(`[glasshouse] ${operation} was asked to stop`);
    timer = setTimeout(() => {
      ctx.log(
        `[glasshouse] ${operation} still runs ${graceMs / 1000} s after it was asked to stop; cancel again to kill it`,
      );
    }, graceMs);
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
