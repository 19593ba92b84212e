import type { Environment } from "../domain/environment.ts";
import type { Failure } from "../domain/errors.ts";
import { commandEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Run } from "../domain/run.ts";
import type { Tx } from "../ports/store.ts";
import { runEvent } from "./queue.ts";

/**
 * Ends a run that was never started, with the commands that wait for it. Runs that have begun are ended by the engine.
 * Gives the events; they are the caller's to append.
 */
export async function endQueued(
  tx: Tx,
  of: {
    readonly run: Run;
    readonly environment: Environment;
    readonly status: "superseded" | "cancelled";
    readonly reason: string;
    readonly now: string;
  },
): Promise<readonly NewEvent[]> {
  const { run, environment, status, reason, now } = of;
  const patch = { status, reason, blocker: null, stage: "ended", finishedAt: now } as const;
  await tx.runs.update(run.id, patch);
  if (run.kind === "plan" && run.planId !== null)
    await tx.plans.update(run.planId, { status: "failed" });
  const failure: Failure = { code: status, message: `It did not begin: ${reason}.` };
  const commands = await tx.commands.settleRun(run.id, { status, failure, finishedAt: now });
  return [
    runEvent("run.cancelled", { ...run, ...patch }, environment.name),
    ...commands.map((command) => ({
      type: "command.failed" as const,
      environmentId: environment.id,
      subject: `environments/${environment.name}`,
      commandId: command.id,
      runId: run.id,
      data: commandEventData(command),
    })),
  ];
}
