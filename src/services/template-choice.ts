import prerelease from "semver/functions/prerelease.js";
import newestFirst from "semver/functions/rcompare.js";
import { GlasshouseError } from "../domain/errors.ts";
import { isId } from "../domain/id.ts";
import type { Template } from "../domain/template.ts";
import type { TemplateSummary } from "../ports/repositories.ts";
import type { ReadTx } from "../ports/store.ts";
import { nearest } from "../lib/nearest.ts";

/**
 * The template that a command names for new use: by id, as `name@version`, or by a bare name, which means its highest
 * active release. Errors: `not-found`, `conflict` for drafts and deprecated versions.
 */
export async function chooseTemplate(tx: ReadTx, reference: string): Promise<Template> {
  const template = await loadTemplate(tx, (await findVersion(tx, reference)).id);
  refuseUnusable(template);
  return template;
}

/** Errors: `conflict` for drafts and deprecated versions, with what to do. */
export function refuseUnusable(template: Pick<Template, "name" | "version" | "status">): void {
  const label = `${template.name}@${template.version}`;
  if (template.status === "draft") {
    throw new GlasshouseError(
      "conflict",
      `Template ${label} is a draft: activate it first (\`glasshouse template activate ${label}\`).`,
    );
  }
  if (template.status === "deprecated") {
    throw new GlasshouseError(
      "conflict",
      `Template ${label} is deprecated, so it is not taken for new use: name an active version, or activate it again (\`glasshouse template activate ${label}\`).`,
    );
  }
}

/** The one version that a reference means, whatever its status. Errors: `not-found`. */
export async function findVersion(tx: ReadTx, reference: string): Promise<TemplateSummary> {
  if (isId("template", reference)) {
    const template = await tx.templates.summary(reference);
    if (template !== null) return template;
    throw new GlasshouseError(
      "not-found",
      `There is no template ${reference}: \`glasshouse template list\` shows those that exist.`,
    );
  }
  const [name, version] = split(reference);
  const versions = await tx.templates.versions(name);
  if (versions.length === 0) {
    throw new GlasshouseError(
      "not-found",
      `There is no template ${name}: register it first (\`glasshouse template register\`), or see \`glasshouse template list\`.`,
    );
  }
  return version === undefined ? highestActive(name, versions) : exact(name, version, versions);
}

/** The highest active release; the highest active pre-release when there is no release. */
function highestActive(name: string, versions: readonly TemplateSummary[]): TemplateSummary {
  const active = versions.filter((one) => one.status === "active");
  const releases = active.filter((one) => prerelease(one.version) === null);
  const [highest] = (releases.length > 0 ? releases : active).toSorted((a, b) =>
    newestFirst(a.version, b.version),
  );
  if (highest !== undefined) return highest;
  const list = versions.map((one) => `${one.version} (${one.status})`).join(", ");
  throw new GlasshouseError(
    "not-found",
    `Template ${name} has no active version: it has ${list}. Activate one (\`glasshouse template activate ${name}@VERSION\`).`,
  );
}

function exact(
  name: string,
  version: string,
  versions: readonly TemplateSummary[],
): TemplateSummary {
  const found = versions.find((one) => one.version === version);
  if (found !== undefined) return found;
  const known = versions.map((one) => one.version);
  const near = nearest(version, known);
  const hint =
    near === null ? `it has ${known.slice(-10).join(", ")}` : `did you mean ${name}@${near}?`;
  throw new GlasshouseError("not-found", `Template ${name} has no version ${version}: ${hint}`);
}

export function split(reference: string): readonly [string, string | undefined] {
  const at = reference.indexOf("@");
  return at < 0 ? [reference, undefined] : [reference.slice(0, at), reference.slice(at + 1)];
}

export async function loadTemplate(tx: ReadTx, id: string): Promise<Template> {
  const template = await tx.templates.get(id);
  if (template !== null) return template;
  throw new GlasshouseError(
    "not-found",
    `There is no template ${id}: \`glasshouse template list\` shows those that exist.`,
  );
}
