import lessThan from "semver/functions/lt.js";
import newestFirst from "semver/functions/rcompare.js";
import { GlasshouseError } from "../domain/errors.ts";
import { isId } from "../domain/id.ts";
import { parseSearch } from "../domain/search-query.ts";
import type { Template } from "../domain/template.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { TemplateSummary } from "../ports/repositories.ts";
import { compareTemplates, type Compatibility } from "../templates/compare.ts";
import type { Reads } from "./deps.ts";
import { findVersion, loadTemplate } from "./template-choice.ts";

/**
 * All versions of all templates, by name, then in order of registration. With a query those that fit it, the newest first.
 * Errors: `invalid-request` for a query that is not understood.
 */
export async function listTemplates(
  deps: Reads,
  page: PageRequest,
  query?: string,
): Promise<Page<TemplateSummary>> {
  if (query === undefined) return deps.store.read((tx) => tx.templates.list(page));
  const parsed = parseSearch(query);
  const { items, next } = await deps.store.search((tx) =>
    tx.searches.find(parsed, ["template"], page),
  );
  return { items: items.flatMap((one) => (one.kind === "template" ? [one.template] : [])), next };
}

/** All versions of a template, in order of registration; of that which an id names, its name's. Errors: `not-found`. */
export async function listTemplateVersions(
  deps: Reads,
  nameOrId: string,
): Promise<readonly TemplateSummary[]> {
  return deps.store.read(async (tx) => {
    const name = isId("template", nameOrId) ? (await findVersion(tx, nameOrId)).name : nameOrId;
    const versions = await tx.templates.versions(name);
    if (versions.length > 0) return versions;
    throw new GlasshouseError(
      "not-found",
      `There is no template ${name}: \`glasshouse template list\` shows those that exist.`,
    );
  });
}

/** `latest` means the highest active release. An id names its version alone. Errors: `not-found`. */
export async function getTemplate(
  deps: Reads,
  nameOrId: string,
  version = "latest",
): Promise<Template> {
  return deps.store.read(async (tx) => {
    const summary = isId("template", nameOrId)
      ? await findVersion(tx, nameOrId)
      : await findVersion(tx, version === "latest" ? nameOrId : `${nameOrId}@${version}`);
    if (version === "latest" || summary.version === version) return loadTemplate(tx, summary.id);
    throw new GlasshouseError(
      "not-found",
      `Template ${nameOrId} is version ${summary.version} of ${summary.name}, not ${version}.`,
    );
  });
}

export interface CompatibilityRead extends Compatibility {
  /** The version that it is compared with. */
  readonly against: string;
}

/** What a version changes against the highest version below it; null for the first. Errors: `not-found`. */
export async function getCompatibility(
  deps: Reads,
  templateId: string,
): Promise<CompatibilityRead | null> {
  return deps.store.read(async (tx) => {
    const template = await loadTemplate(tx, templateId);
    const [before] = (await tx.templates.versions(template.name))
      .filter((one) => one.status !== "draft" && lessThan(one.version, template.version))
      .toSorted((a, b) => newestFirst(a.version, b.version));
    if (before === undefined) return null;
    const earlier = await loadTemplate(tx, before.id);
    return { against: before.version, ...compareTemplates(earlier.body, template.body) };
  });
}
