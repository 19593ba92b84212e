import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { nearest } from "../lib/nearest.ts";
import { toJson } from "../lib/json.ts";
import type { Template } from "../domain/template.ts";
import type { Tx } from "../ports/store.ts";
import type { Services } from "./deps.ts";
import { loadVersions, type Versions } from "./desired-change.ts";
import type { Asked, Effect } from "./effect.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { updateWithRun } from "./environment-update.ts";

/**
 * Wants a new version of declared secrets and certificates and of those of groups, of all when none is named, and queues a run that makes them and applies again
 * what uses them. Errors: `not-found` for a secret that is not declared, `conflict` where there is none to rotate.
 */
export async function prepareRotate(
  deps: Services,
  asked: Asked<"environment.rotate">,
): Promise<Effect> {
  const versions = await deps.store.read((tx) => loadVersions(tx, asked.request, {}));
  const names = namesOf(versions.present, asked.data.secrets);
  const runId = deps.clock.id("run");
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, asked.request);
    refuseWhileDestroying(environment, "rotated");
    const rotations = await rotationsAfter(tx, { environment, versions, names });
    const effected = await updateWithRun(tx, deps, {
      asked: { ...asked, data: { parallelism: asked.data.parallelism, rotations } },
      versions,
      environment,
      runId,
      now,
    });
    return { ...effected, data: toJson(asked.data) };
  };
}

function namesOf(template: Template, asked: readonly string[] | undefined): readonly string[] {
  const { secrets, certificates, groups } = template.body;
  const certified = Object.keys(groups).filter((name) => groups[name]?.certified === true);
  const known = [...Object.keys(secrets ?? {}), ...Object.keys(certificates ?? {}), ...certified];
  if (known.length === 0) {
    throw new GlasshouseError(
      "conflict",
      `Template ${template.name}@${template.version} declares no secrets and no certificates, so there is none to rotate.`,
    );
  }
  for (const name of asked ?? []) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near === null ? `it has ${known.join(", ")}` : `did you mean ${near}?`;
    throw new GlasshouseError(
      "not-found",
      `Template ${template.name}@${template.version} declares no secret or certificate ${name}: ${hint}`,
    );
  }
  return [...new Set(asked ?? known)];
}

/** One wish more than any that was uttered or fulfilled. What was never made is made for the first time anyway. */
async function rotationsAfter(
  tx: Tx,
  of: {
    readonly environment: Environment;
    readonly versions: Versions;
    readonly names: readonly string[];
  },
): Promise<Readonly<Record<string, number>>> {
  const { environment, versions, names } = of;
  const uttered = environment.desired.templates[0]?.rotations ?? {};
  const owned = (await tx.ownedSecrets.ofEnvironment(environment.id)).filter(
    ({ template }) => template === versions.present.name,
  );
  const fulfilled = new Map(owned.map(({ name, rotation }) => [name, rotation]));
  const raised = names.map(
    (name) => [name, Math.max(uttered[name] ?? 0, fulfilled.get(name) ?? 0) + 1] as const,
  );
  return { ...uttered, ...Object.fromEntries(raised) };
}
