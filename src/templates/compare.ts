import { canonicalJson } from "../lib/json.ts";
import type { Json } from "../lib/json.ts";
import type { CertificateDeclaration } from "../domain/certificate.ts";
import type { SecretDeclaration } from "../domain/secret.ts";
import type { Parameter, TemplateBody } from "../domain/template.ts";

export interface Compatibility {
  /** What an environment or a caller of the version before may stumble over. */
  readonly breaking: readonly string[];
  /** What else is different and worth knowing. */
  readonly notes: readonly string[];
}

interface Findings {
  readonly breaking: string[];
  readonly notes: string[];
}

/** Compares a version with the one before it: what breaks those who use it, and what else they may want to know. Pure. */
export function compareTemplates(before: TemplateBody, after: TemplateBody): Compatibility {
  const found: Findings = { breaking: [], notes: [] };
  for (const name of namesOf(before.parameters, after.parameters)) {
    compareParameter(found, name, [own(before.parameters, name), own(after.parameters, name)]);
  }
  compareOutputs(found, before, after);
  compareRequirements(found, before, after);
  compareGroups(found, before, after);
  compareSecrets(found, before.secrets ?? {}, after.secrets ?? {});
  compareCertificates(found, before.certificates ?? {}, after.certificates ?? {});
  for (const name of missingFrom(after.actions, before.actions))
    found.breaking.push(`the action ${name} is gone`);
  for (const name of missingFrom(after.entrypoints, before.entrypoints))
    found.breaking.push(`the entrypoint ${name} is gone`);
  return found;
}

function compareParameter(
  found: Findings,
  name: string,
  [before, after]: readonly [Parameter | undefined, Parameter | undefined],
): void {
  if (after === undefined)
    found.breaking.push(`the parameter ${name} is gone: commands that give it are refused`);
  else if (before === undefined) {
    if (after.default === undefined)
      found.breaking.push(`the parameter ${name} is new and required`);
    else
      found.notes.push(
        `the parameter ${name} is new, with the default ${JSON.stringify(after.default)}`,
      );
  } else if (before.type !== after.type || before.items !== after.items) {
    found.breaking.push(
      `the parameter ${name} changes its type from ${typeText(before)} to ${typeText(after)}`,
    );
  } else compareRules(found, name, [before, after]);
}

function typeText({ type, items }: Parameter): string {
  return items === undefined ? type : `${type} of ${items}`;
}

function compareRules(
  found: Findings,
  name: string,
  [before, after]: readonly [Parameter, Parameter],
): void {
  if (before.secret !== after.secret)
    found.breaking.push(
      `the parameter ${name} is ${after.secret ? "secret now" : "no longer secret"}`,
    );
  if (!before.immutable && after.immutable)
    found.breaking.push(
      `the parameter ${name} can no longer be changed once the environment exists`,
    );
  if (before.immutable && !after.immutable)
    found.notes.push(`the parameter ${name} can be changed now`);
  if (!same(before.default, after.default)) compareDefaults(found, name, [before, after]);
  for (const rule of ["minimum", "minLength", "minItems"] as const) {
    compareBound(found, `the parameter ${name}: ${rule}`, [before[rule], after[rule]]);
  }
  for (const rule of ["maximum", "maxLength", "maxItems"] as const) {
    compareBound(found, `the parameter ${name}: ${rule}`, [
      negative(before[rule]),
      negative(after[rule]),
    ]);
  }
  if (after.pattern !== undefined && before.pattern !== after.pattern) {
    found.breaking.push(`the parameter ${name} has to match ${after.pattern} now`);
  }
  compareEnums(found, name, [before.enum, after.enum]);
}

function compareDefaults(
  found: Findings,
  name: string,
  [before, after]: readonly [Parameter, Parameter],
): void {
  if (after.default === undefined)
    found.breaking.push(`the parameter ${name} is required now: it has no default any more`);
  else if (before.default === undefined)
    found.notes.push(`the parameter ${name} has a default now: ${JSON.stringify(after.default)}`);
  else {
    const list = before.immutable ? found.breaking : found.notes;
    list.push(
      `the default of the parameter ${name} changes from ${JSON.stringify(before.default)} to ${JSON.stringify(after.default)}`,
    );
  }
}

/** A lower bound that is raised, or new, refuses what was taken before. Upper bounds come in with their sign turned. */
function compareBound(
  found: Findings,
  what: string,
  [before, after]: readonly [number | undefined, number | undefined],
): void {
  if (before === after) return;
  const stricter = (after ?? Number.NEGATIVE_INFINITY) > (before ?? Number.NEGATIVE_INFINITY);
  const list = stricter ? found.breaking : found.notes;
  list.push(`${what} is ${after === undefined ? "gone" : stricter ? "stricter" : "looser"}`);
}

function negative(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value;
}

function compareEnums(
  found: Findings,
  name: string,
  [before, after]: readonly [readonly Json[] | undefined, readonly Json[] | undefined],
): void {
  if (after === undefined) {
    if (before !== undefined) found.notes.push(`the parameter ${name} takes any value now`);
    return;
  }
  if (before === undefined) {
    found.breaking.push(`the parameter ${name} takes only certain values now`);
    return;
  }
  const gone = [...texts(before).difference(texts(after))];
  const fresh = [...texts(after).difference(texts(before))];
  if (gone.length > 0)
    found.breaking.push(`the parameter ${name} no longer takes ${gone.join(", ")}`);
  if (fresh.length > 0) found.notes.push(`the parameter ${name} takes ${fresh.join(", ")} too`);
}

function texts(values: readonly Json[]): ReadonlySet<string> {
  return new Set(values.map((value) => canonicalJson(value)));
}

function compareOutputs(found: Findings, before: TemplateBody, after: TemplateBody): void {
  for (const name of missingFrom(after.outputs, before.outputs))
    found.breaking.push(`the output ${name} is gone: environments may require it`);
  for (const name of missingFrom(before.outputs, after.outputs))
    found.notes.push(`the output ${name} is new`);
}

function compareRequirements(found: Findings, before: TemplateBody, after: TemplateBody): void {
  for (const [name, requirement] of Object.entries(after.requires)) {
    const earlier = own(before.requires, name);
    if (requirement.kind === "external") {
      if (earlier === undefined) found.notes.push(`the external resource ${name} is needed now`);
    } else if (earlier?.kind !== "environment") {
      found.breaking.push(`the environment ${requirement.environment} is required now (${name})`);
    } else {
      const more = requirement.outputs.filter((output) => !earlier.outputs.includes(output));
      if (more.length > 0) found.breaking.push(`${name} has to deliver ${more.join(", ")} too`);
    }
  }
  for (const name of missingFrom(after.requires, before.requires))
    found.notes.push(`${name} is no longer required`);
}

function compareGroups(found: Findings, before: TemplateBody, after: TemplateBody): void {
  for (const name of namesOf(before.groups, after.groups)) {
    const [earlier, later] = [own(before.groups, name), own(after.groups, name)];
    if (later === undefined)
      found.notes.push(`the group ${name} is gone: an update destroys what it made`);
    else if (earlier === undefined) found.notes.push(`the group ${name} is new`);
    else if (earlier.executor !== later.executor) {
      found.notes.push(
        `the group ${name} moves from ${earlier.executor} to ${later.executor}: an update destroys what it made and makes it anew`,
      );
    } else if (!same(earlier.runsOn ?? [], later.runsOn ?? [])) {
      const labels = (later.runsOn ?? []).join(", ");
      found.notes.push(
        `the group ${name} runs on ${labels === "" ? "any worker" : `workers that offer ${labels}`} now: an update applies it again there`,
      );
    }
  }
}

type Secrets = Readonly<Record<string, SecretDeclaration>>;

/** Nothing breaks: what uses a secret is in the template itself. */
function compareSecrets(found: Findings, before: Secrets, after: Secrets): void {
  for (const name of namesOf(before, after)) {
    const [earlier, later] = [own(before, name), own(after, name)];
    if (later === undefined)
      found.notes.push(`the secret ${name} is gone: an update takes its value away`);
    else if (earlier === undefined)
      found.notes.push(`the secret ${name} is new: an update generates it`);
    else if (makingOf(earlier) !== makingOf(later))
      found.notes.push(`the secret ${name} is made otherwise: from its next version on`);
  }
}

function makingOf({ length, charset, policy, from }: SecretDeclaration): string {
  return canonicalJson([length, charset, policy ?? null, from === undefined ? null : { ...from }]);
}

type Certificates = Readonly<Record<string, CertificateDeclaration>>;

function compareCertificates(found: Findings, before: Certificates, after: Certificates): void {
  for (const name of namesOf(before, after)) {
    const [earlier, later] = [own(before, name), own(after, name)];
    if (later === undefined)
      found.notes.push(`the certificate ${name} is gone: an update revokes it`);
    else if (earlier === undefined)
      found.notes.push(`the certificate ${name} is new: an update has it issued`);
    else if (askingOf(earlier) !== askingOf(later))
      found.notes.push(`the certificate ${name} asks for something else: an update issues another`);
  }
}

function askingOf(declaration: CertificateDeclaration): string {
  const { role, commonName, altNames, ttlMs, renewBeforeMs } = declaration;
  return canonicalJson([role, commonName, altNames, ttlMs, renewBeforeMs]);
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function namesOf(left: object, right: object): readonly string[] {
  return [...new Set([...Object.keys(left), ...Object.keys(right)])];
}

function missingFrom(record: object, names: object): readonly string[] {
  return Object.keys(names).filter((name) => !Object.hasOwn(record, name));
}

function same(left: Json | undefined, right: Json | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return canonicalJson(left) === canonicalJson(right);
}
