import { newExpressionChecker } from "../domain/expression-check.ts";
import type { Declarations } from "../domain/expression-check.ts";
import { maximumGroups } from "../domain/template.ts";
import type { Parameter, TemplateBody } from "../domain/template.ts";
import { isJsonObject } from "../lib/json.ts";
import type { Json } from "../lib/json.ts";
import type { TemplateFile } from "../contract/template.ts";
import { compileCheck } from "./checks.ts";
import type { Context, ExecutorShape, FileKind } from "./context.ts";
import { checkCycles } from "./cycles.ts";
import { readDocument } from "./document.ts";
import { compileGroup } from "./groups.ts";
import type { CompiledGroup } from "./groups.ts";
import { compileParameter } from "./parameters.ts";
import { compileCertificate } from "./certificates.ts";
import { compileSecret } from "./secrets.ts";
import { Problems } from "./problem.ts";
import type { Problem, Spot } from "./problem.ts";
import { parseTemplate } from "./schema-issues.ts";
import {
  checkHead,
  compileAction,
  compileEntrypoint,
  compileLifetime,
  compileOutput,
  compileRequirement,
} from "./sections.ts";

export type { ExecutorShape, FileKind } from "./context.ts";

export interface TemplateInput {
  /** How problems name the file: usually template.yaml. */
  readonly file: string;
  readonly text: string;
  /** What lies at a normal path (`a/b`, no `.` or `..`) of the template's folder. */
  readonly hasFile: (path: string) => FileKind;
  readonly executors: readonly ExecutorShape[];
}

export type CheckedTemplate =
  | { readonly body: TemplateBody }
  | { readonly problems: readonly Problem[] };

export type CompiledTemplate =
  | { readonly body: TemplateBody; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

/**
 * Turns template.yaml into a checked template: defaults filled in, durations in milliseconds, references and dependencies
 * resolved. Otherwise gives every problem it can, in order of place: syntax errors alone, then everything about the
 * form, then everything about the meaning. Pure but for `hasFile`; never throws for what is in the file.
 */
export function compileTemplate(input: TemplateInput): CompiledTemplate {
  const { checked, warnings } = compile(input);
  return "body" in checked ? { ...checked, warnings: warnings() } : checked;
}

/** The same without the warnings: finding their places takes longer than all the rest of a large template. */
export function checkTemplate(input: TemplateInput): CheckedTemplate {
  return compile(input).checked;
}

interface Compiled {
  readonly checked: CheckedTemplate;
  readonly warnings: () => readonly Problem[];
}

function compile(input: TemplateInput): Compiled {
  const document = readDocument(input.text, input.file);
  if ("problems" in document) return failed(document.problems);
  const problems = new Problems();
  const list = (found: Problems): readonly Problem[] =>
    found.list((spot: Spot) => document.locate(spot), input.file);
  if (hasTooManyGroups(document.value, problems)) return failed(list(problems));
  const template = parseTemplate(document.value, problems);
  if (template === null) return failed(list(problems));
  const warnings = new Problems();
  const context = contextOf({ input, template, problems, warnings });
  const body = compileBody(context);
  return problems.none
    ? { checked: { body }, warnings: () => list(warnings) }
    : failed(list(problems));
}

function failed(problems: readonly Problem[]): Compiled {
  return { checked: { problems }, warnings: () => [] };
}

function hasTooManyGroups(value: Json, problems: Problems): boolean {
  const groups = isJsonObject(value) ? value["groups"] : undefined;
  const count = isJsonObject(groups) ? Object.keys(groups).length : 0;
  if (count <= maximumGroups) return false;
  problems.add(
    { path: ["groups"], key: true },
    `the template has ${count} groups: at most ${maximumGroups} are allowed, split it into several environments`,
  );
  return true;
}

function contextOf(made: {
  readonly input: TemplateInput;
  readonly template: TemplateFile;
  readonly problems: Problems;
  readonly warnings: Problems;
}): Context {
  const { input, template, problems, warnings } = made;
  return {
    template,
    problems,
    warnings,
    check: newExpressionChecker(declarationsOf(template)),
    hasFile: input.hasFile,
    executors: new Map(input.executors.map((executor) => [executor.name, executor])),
    usedParameters: new Set(),
    usedSecrets: new Set(),
    certificates: new Map(),
  };
}

function declarationsOf(template: TemplateFile): Declarations {
  const parameters = mapValues(
    template.parameters ?? {},
    (file): Pick<Parameter, "type" | "items" | "secret"> => ({
      type: file.type,
      secret: file.secret ?? false,
      ...(file.items === undefined ? {} : { items: file.items }),
    }),
  );
  return {
    parameters,
    groups: mapValues(template.groups, outputsOf),
    requires: mapValues(template.requires ?? {}, outputsOf),
    entrypoints: template.entrypoints ?? {},
    secrets: template.secrets ?? {},
    certificates: template.certificates ?? {},
  };
}

function outputsOf(file: { readonly outputs?: readonly string[] | undefined }): {
  readonly outputs: readonly string[];
} {
  return { outputs: file.outputs ?? [] };
}

function compileBody(context: Context): TemplateBody {
  const { template, problems } = context;
  checkHead(context);
  for (const [name, file] of Object.entries(template.certificates ?? {}))
    context.certificates.set(name, compileCertificate(context, name, file));
  const compiled = mapValues(template.groups, (file, name) => compileGroup(context, name, file));
  if (Object.keys(template.groups).length === 0) {
    problems.add(
      { path: ["groups"], key: true },
      "groups is empty: a template makes at least one group",
    );
  }
  checkCycles(context, compiled);
  const body: TemplateBody = {
    formatVersion: 1,
    name: template.name,
    version: template.version,
    description: template.description ?? "",
    tags: template.tags ?? {},
    parameters: mapValues(template.parameters ?? {}, (file, name) =>
      compileParameter(problems, file, ["parameters", name]),
    ),
    ...(template.secrets === undefined
      ? {}
      : {
          secrets: mapValues(template.secrets, (file, name) => compileSecret(context, name, file)),
        }),
    ...(template.certificates === undefined
      ? {}
      : { certificates: Object.fromEntries(context.certificates) }),
    requires: mapValues(template.requires ?? {}, (file, name) =>
      compileRequirement(context, name, file),
    ),
    groups: mapValues(compiled, ({ group }: CompiledGroup) => group),
    outputs: mapValues(template.outputs ?? {}, (value, name) =>
      compileOutput(context, name, value),
    ),
    entrypoints: mapValues(template.entrypoints ?? {}, (file, name) =>
      compileEntrypoint(context, name, file),
    ),
    checks: mapValues(
      template.checks ?? {},
      (file, name) => compileCheck(context, file, { path: ["checks", name] }).check,
    ),
    actions: mapValues(template.actions ?? {}, (file, name) => compileAction(context, name, file)),
    lifetime: compileLifetime(context),
  };
  warn(context);
  return body;
}

/** Few and useful: what is allowed but will be missed or is likely a slip. */
function warn(context: Context): void {
  const { template, warnings, usedParameters, usedSecrets } = context;
  // Commands get every parameter on their standard input, so there nothing can be said.
  const mayReadAll = Object.values(template.groups).some((group) => group.executor === "command");
  if (template.description === undefined) {
    warnings.add(
      { path: ["name"], key: true },
      "the template has no description: say in a line what it makes",
    );
  }
  for (const [name, parameter] of Object.entries(template.parameters ?? {})) {
    const spot: Spot = { path: ["parameters", name], key: true };
    if (!mayReadAll && !usedParameters.has(name))
      warnings.add(spot, `the parameter ${name} is not used: use it, or remove it`);
    if (parameter.description === undefined)
      warnings.add(spot, `the parameter ${name} has no description: say what it is for`);
  }
  for (const [section, noun] of [
    ["secrets", "secret"],
    ["certificates", "certificate"],
  ] as const) {
    for (const name of Object.keys(template[section] ?? {})) {
      if (!usedSecrets.has(name))
        warnings.add(
          { path: [section, name], key: true },
          `the ${noun} ${name} is not used: use it, or remove it`,
        );
    }
  }
}

function mapValues<T, R>(
  record: Readonly<Record<string, T>>,
  change: (value: T, key: string) => R,
): Record<string, R> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, change(value, key)]),
  );
}
