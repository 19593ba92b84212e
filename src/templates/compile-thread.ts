import { Worker } from "node:worker_threads";
import { z } from "zod";
import { GlasshouseError } from "../domain/errors.ts";
import { checkTemplate } from "./compile.ts";
import type { CheckedTemplate, ExecutorShape } from "./compile.ts";
import { fromParts } from "./compile-parts.ts";
import type { TemplateParts } from "./compile-parts.ts";
import { readDocument } from "./document.ts";
import { pathOf } from "./groups.ts";
import { fileLookup } from "./paths.ts";
import { Problems } from "./problem.ts";
import type { Problem } from "./problem.ts";

export interface ThreadInput {
  readonly file: string;
  readonly text: string;
  /** Paths of all files of the template's folder: relative, `/` between parts. */
  readonly files: readonly string[];
  readonly executors: readonly ExecutorShape[];
}

/** Smaller templates are done at once: starting a thread takes longer. In UTF-16 units. */
export const threadThreshold = 64 * 1024;

/** The thread may use so much memory; a template that needs more is refused. */
const memoryMb = 1_536;

/**
 * Like `checkTemplate`, but a large template is worked on in a thread, so that the event loop stays free. One thread at
 * a time: others wait their turn, and the wait counts against `timeoutMs`. Errors: `timeout`, `cancelled` when the signal
 * aborts, `too-large` when the thread runs out of memory. Safe to repeat.
 */
export async function compileInThread(
  input: ThreadInput,
  limits: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<CheckedTemplate> {
  if (input.text.length < threadThreshold) {
    return checkTemplate({ ...input, hasFile: fileLookup(input.files) });
  }
  const deadline = AbortSignal.timeout(limits.timeoutMs);
  const stop = AbortSignal.any([limits.signal, deadline]);
  const release = await takeTurn(stop).catch(() => {
    throw stopError(deadline, limits.timeoutMs);
  });
  try {
    const result = await runThread(input, stop);
    if (result === "stopped") throw stopError(deadline, limits.timeoutMs);
    return "rest" in result ? await validated(result, input) : result;
  } finally {
    release();
  }
}

let queue: Promise<void> = Promise.resolve();

/** Waits until no other thread runs; the returned function lets the next one go. */
async function takeTurn(stop: AbortSignal): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const before = queue;
  queue = before.then(() => promise);
  const stopped = Promise.withResolvers<never>();
  const onStop = (): void => stopped.reject(new Error("stopped"));
  stop.addEventListener("abort", onStop, { once: true });
  try {
    if (stop.aborted) onStop();
    await Promise.race([before, stopped.promise]);
    return resolve;
  } catch (error) {
    resolve();
    throw error;
  } finally {
    stop.removeEventListener("abort", onStop);
  }
}

type ThreadResult = TemplateParts | { readonly problems: readonly Problem[] };

const compiled = z.union([
  z.object({ rest: z.string(), groups: z.array(z.string()) }),
  z.object({ problems: z.custom<readonly Problem[]>() }),
]);

async function runThread(input: ThreadInput, stop: AbortSignal): Promise<ThreadResult | "stopped"> {
  const executors = input.executors.map(({ name, settings }) => ({ name, settings }));
  const worker = new Worker(new URL("./compile-worker.ts", import.meta.url), {
    workerData: { file: input.file, text: input.text, files: input.files, executors },
    resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 64 },
  });
  const { promise, resolve, reject } = Promise.withResolvers<ThreadResult | "stopped">();
  const onStop = (): void => resolve("stopped");
  worker.once("message", (message: unknown) => resolve(compiled.parse(message)));
  worker.once("error", (error) => reject(threadError(error)));
  worker.once("exit", (code) => reject(threadError(new Error(`the thread ended with ${code}`))));
  stop.addEventListener("abort", onStop, { once: true });
  try {
    return await promise;
  } finally {
    stop.removeEventListener("abort", onStop);
    await worker.terminate();
  }
}

function threadError(error: unknown): GlasshouseError {
  const outOfMemory =
    error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
  return outOfMemory
    ? new GlasshouseError(
        "too-large",
        `The template needs more than ${memoryMb} MiB of memory to check: make it smaller.`,
      )
    : new GlasshouseError("internal", "The thread that checks templates failed.", { cause: error });
}

function stopError(deadline: AbortSignal, timeoutMs: number): GlasshouseError {
  return deadline.aborted
    ? new GlasshouseError("timeout", `Checking the template took longer than ${timeoutMs} ms.`)
    : new GlasshouseError("cancelled", "Checking the template was cancelled.");
}

/** Executors' own checks are functions, which no thread can be handed: they run here, on the result. */
async function validated(parts: TemplateParts, input: ThreadInput): Promise<CheckedTemplate> {
  const validators = new Map(input.executors.map((one) => [one.name, one.validate]));
  const problems = new Problems();
  const body = await fromParts(parts, (groups) => {
    for (const [name, group] of Object.entries(groups)) {
      for (const detail of validators.get(group.executor)?.(group.with) ?? []) {
        const path = ["groups", name, "with", ...pathOf(detail.pointer ?? "", group.with)];
        problems.add({ path }, detail.message);
      }
    }
  });
  if (problems.none) return { body };
  const document = readDocument(input.text, input.file);
  if ("problems" in document) return document;
  return { problems: problems.list((spot) => document.locate(spot), input.file) };
}
