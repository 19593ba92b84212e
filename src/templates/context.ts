import type { Json } from "../lib/json.ts";
import { isJsonObject } from "../lib/json.ts";
import type { ErrorDetail } from "../domain/errors.ts";
import type {
  ExpressionChecker,
  ExpressionRules,
  ExpressionType,
} from "../domain/expression-check.ts";
import type { CertificateDeclaration } from "../domain/certificate.ts";
import type { Reference } from "../domain/expression.ts";
import { sortedLabels } from "../domain/label.ts";
import type { SettingsShape } from "../domain/settings.ts";
import type { TemplateFile } from "../contract/template.ts";
import type { Path, Problems } from "./problem.ts";

/** What lies at a path of the template's folder. `outside` is a link that leaves the folder. */
export type FileKind = "file" | "directory" | "outside" | "missing";

/** What the template check knows of an executor. */
export interface ExecutorShape {
  readonly name: string;
  readonly settings: SettingsShape;
  /** As of the executor: each group has a certificate of its own name. */
  readonly issuesCertificates?: true;
  /** Mistakes that the shape cannot say. */
  readonly validate?: (settings: Json) => readonly ErrorDetail[];
}

/** What every part of the check needs. */
export interface Context {
  readonly template: TemplateFile;
  readonly problems: Problems;
  readonly warnings: Problems;
  readonly check: ExpressionChecker;
  readonly hasFile: (path: string) => FileKind;
  readonly executors: ReadonlyMap<string, ExecutorShape>;
  /** Parameters that some expression reads. */
  readonly usedParameters: Set<string>;
  /** Declared secrets and certificates that some expression hands on. */
  readonly usedSecrets: Set<string>;
  /** Certificates that were checked; groups come after them, as they wait for what a certificate's names use. */
  readonly certificates: Map<string, CertificateDeclaration>;
}

export const scalarTypes: readonly ExpressionType[] = ["string", "integer", "number", "boolean"];

/** Checks one string; gives what it reads and the type it will have. */
export function checkText(
  context: Context,
  value: string,
  at: { readonly path: Path; readonly rules: ExpressionRules },
): { readonly references: readonly Reference[]; readonly type: ExpressionType } {
  if (!value.includes("${{")) return { references: [], type: "string" };
  const { mistakes, references, type } = context.check(value, at.rules);
  for (const mistake of mistakes) {
    context.problems.add({ path: at.path, offset: mistake.start }, mistake.message);
  }
  for (const reference of references) {
    if (reference.kind === "parameter") context.usedParameters.add(reference.name);
    if (reference.kind === "secret" || reference.kind === "certificate")
      context.usedSecrets.add(reference.name);
  }
  return { references, type };
}

/** Checks every string of a tree; expressions in keys are refused. Gives what they read, with their places. */
export function checkTree(
  context: Context,
  value: Json,
  at: { readonly path: Path; readonly rules: ExpressionRules },
): readonly PlacedReference[] {
  if (typeof value === "string") {
    const { references } = checkText(context, value, at);
    return references.map((reference) => ({ ...reference, path: at.path }));
  }
  if (Array.isArray(value)) {
    return value.flatMap((item: Json, index) =>
      checkTree(context, item, { ...at, path: [...at.path, index] }),
    );
  }
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const path = [...at.path, key];
    refuseInKey(context, key, path);
    return checkTree(context, item, { ...at, path });
  });
}

export interface PlacedReference extends Omit<Reference, "path"> {
  /** Of the string that holds it. */
  readonly path: Path;
}

export function refuseInKey(context: Context, key: string, path: Path): void {
  if (!key.includes("${{")) return;
  context.problems.add(
    { path, key: true },
    "expressions are not allowed in keys: write the key out, and use the expression in its value",
  );
}

/** Refuses expressions where they would never be evaluated. */
export function refuseExpression(context: Context, value: string | undefined, path: Path): void {
  if (value?.includes("${{") !== true) return;
  context.problems.add(
    { path },
    `expressions are not allowed in ${String(path.at(-1))}: write it out`,
  );
}

/** JSON that zod typed as unknown, as the document reader made it. */
export function asJson(value: unknown): Json {
  if (
    value === null ||
    typeof value === "string" ||
    typeof value === "number" ||
    typeof value === "boolean"
  )
    return value;
  if (Array.isArray(value)) return value.map((item: unknown) => asJson(item));
  if (typeof value !== "object") return null;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asJson(item)]));
}

export function refuseRepeats(context: Context, names: readonly string[], path: Path): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (seen.has(name))
      context.problems.add({ path: [...path, index] }, `${name} stands here twice: remove one`);
    seen.add(name);
  }
}

/** The labels that the thing at this path asks of its worker, in their one form. */
export function compileRunsOn(
  context: Context,
  labels: readonly string[] | undefined,
  path: Path,
): readonly string[] {
  refuseRepeats(context, labels ?? [], [...path, "runsOn"]);
  return sortedLabels(labels ?? []);
}
