import type { Desired, DesiredTemplate, Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Template } from "../domain/template.ts";
import { comparable, type Values } from "../domain/value.ts";
import { canonicalJson } from "../lib/json.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import type { Services } from "./deps.ts";
import { Moved, type CommandRequest } from "./effect.ts";
import { sameTemplate, templateOf } from "./environment-create.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { keepParameters, type KeptParameters } from "./parameters.ts";
import { resolveRequirements } from "./requirements.ts";
import { findVersion, loadTemplate, refuseUnusable } from "./template-choice.ts";

/** What a command asks to be different. Absent members stay as they are. */
export interface Wish {
  readonly template?: string | undefined;
  readonly templates?: readonly string[] | undefined;
  readonly parameters?: Values | undefined;
  readonly reset?: readonly string[] | undefined;
  /** By declared secret, in place of what was wished before. */
  readonly rotations?: DesiredTemplate["rotations"];
}

/** The template an environment has, and the one it is to have. */
export interface Versions {
  readonly environmentId: string;
  readonly present: Template;
  readonly target: Template;
}

/** Loads both templates before the transaction: they may be large. */
export async function loadVersions(
  tx: ReadTx,
  request: CommandRequest,
  wish: Wish,
): Promise<Versions> {
  const environment = await subjectEnvironment(tx, request);
  refuseWhileDestroying(environment, "changed");
  const present = await loadTemplate(tx, presentTemplateId(environment));
  const at = { environmentId: environment.id, present };
  if (wish.template === undefined && wish.templates === undefined)
    return { ...at, target: present };
  const version = await findVersion(tx, templateOf(wish));
  if (version.id === present.id) return { ...at, target: present };
  if (version.name !== present.name) {
    throw new GlasshouseError(
      "conflict",
      `Environment ${environment.name} is made of template ${present.name}, not of ${version.name}: name a version of ${present.name}, or create another environment.`,
    );
  }
  refuseUnusable(version);
  return { ...at, target: await loadTemplate(tx, version.id) };
}

export interface DesiredChange {
  readonly desired: Desired;
  /** False when everything wanted is wanted already. */
  readonly changed: boolean;
  readonly kept: KeptParameters;
  /** Environments that it requires now, and would require then. */
  readonly requires: readonly string[];
}

/**
 * What would be wanted after this wish: the environment's wishes of now with those that the command names on top. Errors:
 * `invalid-parameters`, `requirement-cycle`; `Moved` when another version is wanted since it was prepared.
 */
export async function changeDesired(
  tx: Tx,
  deps: Pick<Services, "sealer" | "clock">,
  of: {
    readonly environment: Environment;
    readonly versions: Versions;
    readonly wish: Wish;
    readonly tags?: Environment["tags"] | undefined;
    readonly now: string;
  },
): Promise<DesiredChange> {
  const { environment, versions, wish, now } = of;
  const { present, target } = versions;
  if (environment.id !== versions.environmentId || presentTemplateId(environment) !== present.id)
    throw new Moved();
  if (target.id !== present.id) await sameTemplate(tx, target);
  const kept = await keepParameters(tx, deps, {
    environmentId: environment.id,
    template: target,
    given: wish.parameters ?? {},
    previous: { given: environment.desired.templates[0]?.parameters ?? {}, template: present },
    ...(wish.reset === undefined ? {} : { reset: wish.reset }),
    now,
  });
  const rotations = wish.rotations ?? environment.desired.templates[0]?.rotations;
  const desired: Desired = {
    templates: [
      {
        templateId: target.id,
        name: target.name,
        version: target.version,
        parameters: kept.values,
        ...(rotations === undefined ? {} : { rotations }),
      },
    ],
  };
  const required = await resolveRequirements(tx, {
    environment: { id: environment.id, name: environment.name, tags: of.tags ?? environment.tags },
    body: target.body,
    parameters: kept.values,
  });
  return {
    desired,
    changed: textOf(desired) !== textOf(environment.desired),
    kept,
    // Until the change is made, what it uses now is in use too.
    requires: [...new Set([...environment.requires, ...required])],
  };
}

function textOf(desired: Desired): string {
  return desired.templates
    .map(
      ({ templateId, parameters, rotations }) =>
        `${templateId}\n${comparable(parameters)}\n${canonicalJson({ ...rotations })}`,
    )
    .join("\n");
}

export function presentTemplateId(environment: Environment): string {
  return environment.desired.templates[0]?.templateId ?? "";
}
