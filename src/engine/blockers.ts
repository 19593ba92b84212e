import type { Environment } from "../domain/environment.ts";
import { requiredEnvironments } from "../domain/desired.ts";
import type { Blocker, Run } from "../domain/run.ts";
import type { ReadTx } from "../ports/store.ts";
import type { RunFacts } from "./run-cache.ts";

interface Answer {
  readonly blocker: (Blocker & { readonly reason: string }) | null;
  /** The environments whose outputs the run uses. */
  readonly uses: readonly string[];
}

/**
 * Whether a run at the head of its queue may start: what it requires must be there, and nobody may be using what it changes.
 * `users` are the runs in flight that use its environment's outputs.
 */
export async function blockerOf(
  tx: ReadTx,
  run: Run,
  of: {
    readonly environment: Environment;
    readonly facts: RunFacts;
    readonly users: readonly Run[];
  },
): Promise<Answer> {
  if (run.kind === "create" || run.kind === "update" || run.kind === "plan") {
    const required = await requirements(tx, of.facts);
    if (required.blocker !== null || run.kind === "plan") return required;
    return { ...required, blocker: await blockedByUsers(tx, of.users) };
  }
  if (run.kind === "destroy")
    return {
      uses: [],
      blocker: (await dependents(tx, of.environment)) ?? (await blockedByUsers(tx, of.users)),
    };
  return { uses: [], blocker: null };
}

async function requirements(tx: ReadTx, facts: RunFacts): Promise<Answer> {
  const uses: string[] = [];
  for (const { name, outputs } of requiredEnvironments(
    facts.template.body,
    facts.parameters,
    facts.environment,
  ).values()) {
    const required = await tx.environments.find(name);
    const missing =
      required === null || required.status === "destroyed"
        ? "does not exist"
        : unmet(required, outputs);
    if (missing !== null)
      return {
        uses,
        blocker: {
          kind: "requirement",
          on: [name],
          reason: `it requires environment ${name}, which ${missing}`,
        },
      };
    if (required !== null) uses.push(required.id);
  }
  return { uses, blocker: null };
}

function unmet(required: Environment, outputs: readonly string[]): string | null {
  if (required.status !== "deployed-ok") return `is ${required.status}`;
  const absent = outputs.filter((output) => required.outputs[output] === undefined);
  return absent.length === 0 ? null : `has no output ${absent.join(", ")}`;
}

/** Their own environments are named. */
async function blockedByUsers(tx: ReadTx, runs: readonly Run[]): Promise<Answer["blocker"]> {
  if (runs.length === 0) return null;
  const names = await Promise.all(
    runs.map(
      async (run) => (await tx.environments.get(run.environmentId))?.name ?? run.environmentId,
    ),
  );
  return {
    kind: "use",
    on: names,
    reason: `runs of ${names.slice(0, 5).join(", ")} are using its outputs`,
  };
}

/** With `cascade` the destroys of what requires it are queued first; this one waits for them. */
async function dependents(tx: ReadTx, environment: Environment): Promise<Answer["blocker"]> {
  const living = await tx.environments.requiring(environment.id);
  if (living.length === 0) return null;
  const names = living.map((other) => other.name);
  return {
    kind: "requirement",
    on: names,
    reason: `${names.slice(0, 5).join(", ")} still require it`,
  };
}
