import {
  effectiveParameters,
  requiredEnvironments,
  type EnvironmentFacts,
} from "../domain/desired.ts";
import { isLiving, type Environment } from "../domain/environment.ts";
import { asGlasshouseError, GlasshouseError } from "../domain/errors.ts";
import { describeCycle } from "../domain/graph.ts";
import type { TemplateBody } from "../domain/template.ts";
import type { Values } from "../domain/value.ts";
import type { ReadTx } from "../ports/store.ts";

export interface Requiring {
  readonly environment: EnvironmentFacts;
  readonly body: TemplateBody;
  /** Given parameters, without defaults. */
  readonly parameters: Values;
}

/**
 * Ids of the environments that this one requires and that are there. One that is missing is no error: the run waits for
 * it. One that is being destroyed counts as missing: else each of the two would wait for the other for ever. Errors:
 * `requirement-cycle` naming the circle, `invalid-parameters` when a name cannot be evaluated.
 */
export async function resolveRequirements(tx: ReadTx, of: Requiring): Promise<readonly string[]> {
  const names = namesOf(of);
  const found: string[] = [];
  // Two that come to require each other at the same time would both find no circle.
  if (names.length > 0) await tx.environments.holdRequirements();
  for (const name of names) {
    const required = await tx.environments.find(name);
    if (required === null || !isLiving(required)) continue;
    if (required.status !== "destroying") found.push(required.id);
  }
  if (names.length > 0) await refuseCycle(tx, of, names);
  return [...new Set(found)];
}

function namesOf(of: Requiring): readonly string[] {
  const parameters = effectiveParameters(of.body.parameters, of.parameters);
  try {
    const required = requiredEnvironments(of.body, parameters, of.environment);
    return [...required.values()].map(({ name }) => name);
  } catch (error) {
    const { message } = asGlasshouseError(error);
    throw new GlasshouseError(
      "invalid-parameters",
      `What the template requires cannot be told with these parameters: ${message}`,
      { cause: error },
    );
  }
}

/** Walks from what is required to what that requires, by the wishes of each, so that those not applied yet count too. */
async function refuseCycle(tx: ReadTx, of: Requiring, names: readonly string[]): Promise<void> {
  const self = of.environment;
  const seen = new Set<string>();
  const open = names.map((name) => ({ name, path: [self.name] }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { name, path } = next;
    if (name === self.name || name === self.id) {
      throw new GlasshouseError(
        "requirement-cycle",
        `Environment ${self.name} would require itself: ${describeCycle(path)}. Remove one of these requirements.`,
      );
    }
    if (seen.has(name)) continue;
    seen.add(name);
    const environment = await tx.environments.find(name);
    if (environment === null || !isLiving(environment)) continue;
    const further = await wishesOf(tx, environment);
    open.push(...further.map((wish) => ({ name: wish, path: [...path, environment.name] })));
  }
}

async function wishesOf(tx: ReadTx, environment: Environment): Promise<readonly string[]> {
  const [desired] = environment.desired.templates;
  const template = desired === undefined ? null : await tx.templates.get(desired.templateId);
  if (desired === undefined || template === null) return [];
  try {
    return namesOf({ environment, body: template.body, parameters: desired.parameters });
  } catch {
    // Its own run will say so; it closes no circle.
    return [];
  }
}
