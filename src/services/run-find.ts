import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { ReadTx } from "../ports/store.ts";
import type { CommandRequest } from "./effect.ts";

/** Errors: `not-found`. */
export async function findRun(tx: ReadTx, id: string): Promise<Run> {
  const run = await tx.runs.get(id);
  if (run !== null) return run;
  throw new GlasshouseError(
    "not-found",
    `There is no run ${id}: check the id; \`glasshouse run list\` shows those that exist.`,
  );
}

/** The run that a command names, by `data.run` or else by its subject, with its environment. */
export async function subjectRun(
  tx: ReadTx,
  request: CommandRequest,
  named: string | undefined,
): Promise<{ readonly run: Run; readonly environment: Environment }> {
  const id = named ?? request.subject;
  if (id === null) {
    throw new GlasshouseError(
      "invalid-request",
      `${request.type} needs the id of a run, as its subject or as \`run\`.`,
      { details: [{ message: "The run is missing.", pointer: "/run" }] },
    );
  }
  const run = await findRun(tx, id);
  const environment = await tx.environments.get(run.environmentId);
  if (environment !== null) return { run, environment };
  throw new GlasshouseError(
    "internal",
    `Run ${run.id} names environment ${run.environmentId}, which is not in the store.`,
  );
}
