import {
  effectiveParameters,
  requiredEnvironments,
  type EnvironmentFacts,
} from "../domain/desired.ts";
import type { Command } from "../domain/command.ts";
import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Scope } from "../domain/expression.ts";
import type { Run } from "../domain/run.ts";
import type { Template } from "../domain/template.ts";
import type { Values } from "../domain/value.ts";
import type { ReadTx } from "../ports/store.ts";

/** What expressions of an environment's template stand on, beside what its groups delivered. */
export interface EnvironmentState {
  readonly environment: EnvironmentFacts;
  readonly template: Template;
  /** With defaults filled in. */
  readonly parameters: Values;
  /** Outputs of the environments it requires, by the name under `requires`. */
  readonly requires: Scope["requires"];
}

/** What every step of a run shares and no step changes: loaded once, kept while the run is worked on. */
export interface RunFacts extends EnvironmentState {
  readonly run: Run;
  /** It has groups whose failure ends the run at once. Kept here, as asking every group at every step takes the square of their number. */
  readonly isAbortable: boolean;
  /** The trace that its first command came with, for the executors' children. */
  readonly traceparent: string | null;
}

const keptRuns = 2_048;
const keptTemplates = 64;

/** Two bounded caches: facts by run id, templates by id. Nothing in them can change but by a new run, a new attempt of one, or a replaced draft. */
export class RunCache {
  readonly #runs = new Map<string, RunFacts>();
  readonly #templates = new Map<string, Template>();

  /**
   * From the cache, else from within a transaction; kept only by `keep`, once that has been committed. A run that was
   * retried is read afresh, wherever its steps ran before: what it requires of others may have changed meanwhile.
   */
  async within(tx: ReadTx, runId: string, attempt: number): Promise<RunFacts> {
    const known = this.#runs.get(runId);
    if (known?.run.attempt === attempt) return known;
    const [found, commands] = await Promise.all([tx.runs.get(runId), tx.commands.ofRun(runId)]);
    const run = present(found, `run ${runId}`);
    const environment = await tx.environments.get(run.environmentId);
    return this.load(tx, { run, environment, commands });
  }

  keep(facts: RunFacts): void {
    remember(this.#runs, keptRuns, [facts.run.id, facts]);
  }

  /** Reads afresh what else a run's facts are made of. `commands` are those that led to it. */
  async load(
    tx: ReadTx,
    of: {
      readonly run: Run;
      readonly environment: Environment | null;
      readonly commands: readonly Pick<Command, "traceparent">[];
    },
  ): Promise<RunFacts> {
    const { run } = of;
    const environment = present(of.environment, `environment ${run.environmentId}`);
    const state = await this.stateOf(tx, { ...environment, desired: run.desired });
    const [command] = of.commands;
    const groups = Object.values(state.template.body.groups);
    const isAbortable = groups.some(({ onFailure }) => onFailure === "abort");
    return { run, ...state, isAbortable, traceparent: command?.traceparent ?? null };
  }

  /** Reads what an environment is by what is wanted of it. */
  async stateOf(
    tx: ReadTx,
    environment: EnvironmentFacts & Pick<Environment, "desired">,
  ): Promise<EnvironmentState> {
    const { id, name, tags } = environment;
    const desired = present(environment.desired.templates[0] ?? null, `template of ${name}`);
    const template = await this.template(tx, desired.templateId);
    const parameters = effectiveParameters(template.body.parameters, desired.parameters);
    const required = requiredEnvironments(template.body, parameters, environment);
    const requires = await requiredOutputs(tx, required);
    return { environment: { id, name, tags }, template, parameters, requires };
  }

  async template(tx: ReadTx, id: string): Promise<Template> {
    const known = this.#templates.get(id);
    if (known !== undefined) return known;
    const template = present(await tx.templates.get(id), `template ${id}`);
    this.know(template);
    return template;
  }

  /** Keeps a template that somebody else has read. */
  know(template: Template): void {
    // A draft may still be replaced, so it is read afresh each time.
    if (template.status === "draft" || this.#templates.has(template.id)) return;
    remember(this.#templates, keptTemplates, [template.id, template]);
  }

  forget(runId: string): void {
    this.#runs.delete(runId);
  }
}

async function requiredOutputs(
  tx: ReadTx,
  required: ReturnType<typeof requiredEnvironments>,
): Promise<Scope["requires"]> {
  const found: [string, { outputs: Values }][] = [];
  for (const [key, { name, outputs }] of required) {
    const environment = await tx.environments.find(name);
    if (environment === null) continue;
    const exported = Object.entries(environment.outputs).filter(([output]) =>
      outputs.includes(output),
    );
    found.push([key, { outputs: Object.fromEntries(exported) }]);
  }
  return Object.fromEntries(found);
}

function present<T>(value: T | null, what: string): T {
  if (value === null)
    throw new GlasshouseError(
      "internal",
      `The ${what} is not in the store although something points to it.`,
    );
  return value;
}

function remember<K, V>(map: Map<K, V>, most: number, [key, value]: readonly [K, V]): void {
  const oldest = map.size >= most ? map.keys().next() : null;
  if (oldest !== null && oldest.done !== true) map.delete(oldest.value);
  map.set(key, value);
}
