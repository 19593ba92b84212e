import { isLiving, type Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { ReadTx } from "../ports/store.ts";
import type { CommandRequest } from "./effect.ts";

/** The environment of this id or name. Errors: `not-found`. */
export async function findEnvironment(tx: ReadTx, idOrName: string): Promise<Environment> {
  const environment = await tx.environments.find(idOrName);
  if (environment !== null) return environment;
  throw new GlasshouseError(
    "not-found",
    `There is no environment ${idOrName}: check the name or the id; \`glasshouse env list\` shows those that exist.`,
  );
}

/**
 * The environment that a command is about, living and as its sender has seen it. Errors: `invalid-request` without a
 * subject, `not-found`, `conflict` when it is destroyed, `precondition-failed` when its sequence is another.
 */
export async function subjectEnvironment(
  tx: ReadTx,
  request: CommandRequest,
): Promise<Environment> {
  if (request.subject === null) {
    throw new GlasshouseError(
      "invalid-request",
      `${request.type} needs a subject: the name or id of an environment.`,
      { details: [{ message: "The subject is missing.", pointer: "/subject" }] },
    );
  }
  const environment = await findEnvironment(tx, request.subject);
  if (!isLiving(environment)) {
    throw new GlasshouseError(
      "conflict",
      `Environment ${environment.name} was destroyed at ${environment.destroyedAt ?? "an earlier time"}: create it anew under the same name if it is wanted again.`,
    );
  }
  if (environment.prospective && request.type !== "environment.apply") {
    throw new GlasshouseError(
      "conflict",
      `Environment ${environment.name} is only planned: apply its plan first (\`glasshouse env apply PLAN\`), or create it.`,
    );
  }
  const expected = request.ifSequence ?? null;
  if (expected !== null && expected !== environment.sequence) {
    throw new GlasshouseError(
      "precondition-failed",
      `Environment ${environment.name} is at sequence ${environment.sequence}, not ${expected}: read it again, then decide.`,
    );
  }
  return environment;
}

/** Errors: `conflict` while the environment is being destroyed. */
export function refuseWhileDestroying(environment: Environment, what: string): void {
  if (environment.status !== "destroying") return;
  throw new GlasshouseError(
    "conflict",
    `Environment ${environment.name} is being destroyed, so it cannot be ${what}: cancel the destroy first (\`glasshouse run cancel\`), or create it anew afterwards.`,
  );
}
