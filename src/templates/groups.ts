import { nearest } from "../lib/nearest.ts";
import { runsOnMember } from "../domain/label.ts";
import { groupDefaults } from "../domain/template.ts";
import type { Group } from "../domain/template.ts";
import type { Json } from "../lib/json.ts";
import { isJsonObject } from "../lib/json.ts";
import { laterExecutors } from "../contract/template.ts";
import type { GroupFile } from "../contract/template.ts";
import { durationOr } from "./checks.ts";
import { asJson, compileRunsOn, refuseExpression, refuseRepeats } from "./context.ts";
import type { Context, ExecutorShape, PlacedReference } from "./context.ts";
import type { Path, Spot } from "./problem.ts";
import { compileResources } from "./resources.ts";
import { checkSettings } from "./settings.ts";

/** A group in its final form, with the place of each dependency for messages. */
export interface CompiledGroup {
  readonly group: Group;
  readonly edges: ReadonlyMap<string, Spot>;
}

/** Checks one group: executor, settings, dependencies, resources, outputs. */
export function compileGroup(context: Context, name: string, file: GroupFile): CompiledGroup {
  const path: Path = ["groups", name];
  refuseExpression(context, file.description, [...path, "description"]);
  for (const [tag, value] of Object.entries(file.tags ?? {}))
    refuseExpression(context, value, [...path, "tags", tag]);
  refuseRepeats(context, file.outputs ?? [], [...path, "outputs"]);
  const settings = asJson(file.with ?? {});
  const inputs = settingsReferences(context, { name, file, settings, path: [...path, "with"] });
  const resources = compileResources(context, name, file.resources ?? {});
  const edges = new Map<string, Spot>();
  for (const [upstream, spot] of dependencies(context, name, file)) edges.set(upstream, spot);
  for (const reference of [...inputs, ...resources.references]) {
    if (reference.kind !== "group" || reference.name === name || edges.has(reference.name))
      continue;
    edges.set(reference.name, { path: reference.path, offset: reference.start });
  }
  for (const [upstream, spot] of resources.edges) {
    if (upstream !== name && !edges.has(upstream)) edges.set(upstream, spot);
  }
  for (const [upstream, spot] of certificateEdges(context, name, inputs))
    if (!edges.has(upstream)) edges.set(upstream, spot);
  const used = inputs
    .filter((one) => one.kind === "group" && one.name !== name)
    .map((one) => one.name);
  const secrets = sorted(
    new Set(
      inputs
        .filter((one) => one.kind === "secret" || one.kind === "certificate")
        .map((one) => one.name),
    ),
  );
  const group: Group = {
    ...plainParts(context, file, path),
    with: settings,
    dependsOn: [...new Set(file.dependsOn)],
    upstreams: sorted(edges.keys()),
    inputs: sorted(new Set(used)),
    ...(secrets.length === 0 ? {} : { secrets }),
    ...certifiedMember(context, name, file),
    resources: resources.resources,
  };
  return { group, edges };
}

/** `env rotate` and the list of an environment's certificates know the group's by its name. */
function certifiedMember(
  { executors, problems, template }: Context,
  name: string,
  { executor }: GroupFile,
): Pick<Group, "certified"> {
  if (executors.get(executor)?.issuesCertificates !== true) return {};
  for (const section of ["secrets", "certificates"] as const) {
    if (!Object.hasOwn(template[section] ?? {}, name)) continue;
    problems.add(
      { path: ["groups", name], key: true },
      `${name} stands under ${section} too, and the certificate of this group is known by the group's name: give one of them another`,
    );
  }
  return { certified: true };
}

/** Whoever uses a certificate waits for the groups whose outputs its names use. */
function certificateEdges(
  context: Context,
  name: string,
  references: readonly PlacedReference[],
): readonly (readonly [string, Spot])[] {
  return references.flatMap((reference) => {
    if (reference.kind !== "certificate") return [];
    const spot = { path: reference.path, offset: reference.start };
    const groups = context.certificates.get(reference.name)?.inputs ?? [];
    if (groups.includes(name))
      context.problems.add(
        spot,
        `the group ${name} and the certificate ${reference.name} wait for one another: the certificate's names use an output of ${name}, which is known only afterwards`,
      );
    return groups.filter((group) => group !== name).map((group) => [group, spot] as const);
  });
}

function plainParts(
  context: Context,
  file: GroupFile,
  path: Path,
): Omit<Group, "with" | "dependsOn" | "upstreams" | "inputs" | "secrets" | "resources"> {
  const fallback =
    file.executor === "command" ? groupDefaults.commandTimeoutMs : groupDefaults.timeoutMs;
  const timeoutMs = durationOr(file.timeout, fallback);
  if (timeoutMs <= 0)
    context.problems.add({ path: [...path, "timeout"] }, "timeout must be longer than 0s");
  return {
    description: file.description ?? "",
    tags: file.tags ?? {},
    executor: file.executor,
    outputs: [...new Set(file.outputs)],
    retry: {
      attempts: file.retry?.attempts ?? groupDefaults.retry.attempts,
      backoffMs: durationOr(file.retry?.backoff, groupDefaults.retry.backoffMs),
    },
    timeoutMs,
    onFailure: file.onFailure ?? groupDefaults.onFailure,
    ...runsOnMember(compileRunsOn(context, file.runsOn, path)),
  };
}

function settingsReferences(
  context: Context,
  group: {
    readonly name: string;
    readonly file: GroupFile;
    readonly settings: Json;
    readonly path: Path;
  },
): readonly PlacedReference[] {
  const { name, file, settings, path } = group;
  const executor = context.executors.get(file.executor);
  if (executor === undefined) {
    context.problems.add(
      { path: ["groups", name, "executor"] },
      unknownExecutor(context, file.executor),
    );
    return [];
  }
  const before = context.problems.count;
  const references = checkSettings(context, { shape: executor.settings, value: settings, path });
  for (const reference of references) {
    if (reference.kind !== "group" || reference.name !== name) continue;
    const message = `the group ${name} uses its own output ${reference.output ?? ""} in with: it is known only afterwards, use it in resources or in another group`;
    context.problems.add({ path: reference.path, offset: reference.start }, message);
  }
  warnOfMarks(context, settings, path);
  if (context.problems.count === before) validate(context, executor, { settings, path });
  return references;
}

function validate(
  context: Context,
  executor: ExecutorShape,
  { settings, path }: { readonly settings: Json; readonly path: Path },
): void {
  for (const detail of executor.validate?.(settings) ?? []) {
    context.problems.add(
      { path: [...path, ...pathOf(detail.pointer ?? "", settings)] },
      detail.message,
    );
  }
}

/** A JSON pointer as a path: what indexes a list becomes a number. */
export function pathOf(pointer: string, root: Json): Path {
  const path: (string | number)[] = [];
  let value: Json | undefined = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(key) : key);
    if (Array.isArray(value)) value = new Map<number, Json>(value.entries()).get(Number(key));
    else value = isJsonObject(value) ? value[key] : undefined;
  }
  return path;
}

function warnOfMarks(context: Context, settings: Json, path: Path): void {
  if (!isJsonObject(settings)) return;
  if (settings["leavesProcesses"] === true) {
    context.warnings.add(
      { path: [...path, "leavesProcesses"], key: true },
      "leavesProcesses: what the command starts stays after it ends, and after a crash nothing ends it: destroy must find and end it",
    );
  }
  if (settings["repeatable"] === true) {
    context.warnings.add(
      { path: [...path, "repeatable"], key: true },
      "repeatable: after a crash the command is run again without a look: it must do no harm twice; with observe it would be looked at first",
    );
  }
}

function unknownExecutor(context: Context, name: string): string {
  const known = [...context.executors.keys()];
  if (name.includes("${{"))
    return "the executor must be written out: expressions are not allowed here";
  if (laterExecutors.includes(name))
    return `the executor ${name} is not available in this version: use ${known.join(" or ")}`;
  const near = nearest(name, known);
  return `there is no executor ${name}: ${near === null ? `use ${known.join(" or ")}` : `did you mean ${near}?`}`;
}

function dependencies(
  context: Context,
  name: string,
  file: GroupFile,
): readonly (readonly [string, Spot])[] {
  const path: Path = ["groups", name, "dependsOn"];
  refuseRepeats(context, file.dependsOn ?? [], path);
  return (file.dependsOn ?? []).flatMap((upstream, index) => {
    const at = { path: [...path, index] };
    const mistake = dependencyMistake(context, name, upstream);
    if (mistake === null) return [[upstream, at] as const];
    context.problems.add(at, mistake);
    return [];
  });
}

function dependencyMistake(context: Context, name: string, upstream: string): string | null {
  const { groups } = context.template;
  if (upstream.includes("${{"))
    return "expressions are not allowed in dependsOn: write the group's name out";
  if (upstream === name) return `the group ${name} cannot depend on itself: remove it`;
  if (Object.hasOwn(groups, upstream)) return null;
  const near = nearest(upstream, Object.keys(groups));
  const hint = near === null ? "declare it under groups, or remove it" : `did you mean ${near}?`;
  return `there is no group ${upstream}: ${hint}`;
}

function sorted(names: Iterable<string>): readonly string[] {
  return [...names].sort((a, b) => (a < b ? -1 : 1));
}
