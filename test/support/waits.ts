import { setTimeout as sleep } from "node:timers/promises";
import type { CommandView, RunView, Site } from "./site.ts";

const limitMs = 30_000;

/** Waits until a step of the command's run says why it waits; the run goes on meanwhile. */
export async function stepWaits(site: Site, command: CommandView, words: RegExp): Promise<RunView> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const run = await site.runWhen(command, () => true);
    const steps = await site.steps(run);
    const [step] = steps.filter(({ reason }) => words.test(reason ?? ""));
    if (step !== undefined && run.status === "running") return run;
    if (Date.now() > deadline || run.status === "failed")
      throw new Error(`nobody waits: ${JSON.stringify(steps)}`);
    await sleep(50);
  }
}
