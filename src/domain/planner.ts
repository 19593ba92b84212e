import { canonicalJson } from "../lib/json.ts";
import { certificateSteps } from "./certificate-plan.ts";
import { certificateScope } from "./certificate-declared.ts";
import { asGlasshouseError, GlasshouseError } from "./errors.ts";
import { evaluate, type Scope } from "./expression.ts";
import { shortestCycle, topologicalOrder } from "./graph.ts";
import { runsOnMember } from "./label.ts";
import type { PlannedStep } from "./plan.ts";
import { groupKey, type GroupRecord } from "./record.ts";
import { isOfGroup, secretScope, type OwnedSecret, type SecretKind } from "./secret.ts";
import {
  endsOf,
  groupCertificate,
  kindOf,
  movingSecrets,
  planSecretEnds,
  planSecrets,
  refuseOtherKinds,
  secretStepKey,
} from "./secret-plan.ts";
import type { Group, TemplateBody } from "./template.ts";
import { replaceSecrets, type Value, type Values } from "./value.ts";

/** Everything the planner looks at. It does no I/O: what it needs of the outside comes in as plain functions. */
export interface ApplyInput {
  readonly template: TemplateBody;
  readonly records: readonly GroupRecord[];
  /** The declared secrets and certificates that the environment has. */
  readonly secrets: readonly OwnedSecret[];
  /** By name of what is declared: which new version is wanted. */
  readonly rotations: Readonly<Record<string, number>>;
  /** Parameters, environment, requirements; the outputs of groups are taken from the records, the secrets from their list. */
  readonly scope: Omit<Scope, "groups" | "secrets" | "certificates">;
  readonly fingerprints: Fingerprints;
}

export interface Fingerprints {
  /** HMAC of a text under the data key. */
  readonly of: (text: string) => string;
  /** What the executor itself contributes to "has it changed?": behaviour number and digest of the files it reads. */
  readonly executor: (group: Group) => { readonly behaviour: number; readonly files: string };
}

/** So many groups are planned between two pauses. */
const pauseEvery = 200;

/**
 * Plans an apply: which groups run, in which order and why. A generator, so that a caller with thousands of groups can let
 * others work at each `yield`; it yields nothing and returns the steps. Same input, same steps.
 *
 * - `unchanged`: the fingerprint of its evaluated settings equals the record's; nothing will be started.
 * - `deferred`: an input is an output of a group that this plan changes, or a secret that it makes; it is planned when it is
 *   reached.
 * - `exact`: its inputs are known.
 * - `destroy`: it has a record and no place in the template any more, or its executor changed.
 */
export function* planApply(input: ApplyInput): Generator<undefined, readonly PlannedStep[]> {
  const { template } = input;
  const records = new Map(
    input.records.map((record) => [groupKey(record.template, record.group), record]),
  );
  const names = topologicalOrder(
    new Map(Object.entries(template.groups).map(([name, group]) => [name, group.upstreams])),
  );
  refuseOtherKinds(input);
  const { making: values, steps: secretSteps } = planSecrets({ ...input, owned: input.secrets });
  const making = new Set(values);
  const outputs = outputsByGroup(input.records, template.name);
  const scope = {
    ...input.scope,
    secrets: secretScope(input.secrets, template.name),
    certificates: certificateScope(input.secrets, template.name),
  };
  const known: Known = { input, scope, outputs, making };
  const changed = new Set<string>();
  const live = new Set<string>();
  const steps: PlannedStep[] = [...secretSteps];
  const issue = certificateSteps({
    template,
    changed,
    live,
    making,
    owned: input.secrets,
    rotations: input.rotations,
    scope: { ...scope, groups: outputs },
  });
  for (const [index, name] of names.entries()) {
    if (index % pauseEvery === pauseEvery - 1) yield;
    const group = template.groups[name];
    if (group === undefined) continue;
    const record = records.get(groupKey(template.name, name)) ?? null;
    steps.push(...issue(group.secrets ?? []));
    const verdict = judge({ ...known, name, group, record, changed });
    const replaced = record !== null && record.executor !== group.executor;
    if (replaced)
      steps.push(
        destroyStep(
          record,
          [],
          `its executor changes from ${record.executor} to ${group.executor}`,
        ),
      );
    if (verdict.mark !== "unchanged") changed.add(name);
    const upstreams = group.upstreams.filter((upstream) => live.has(upstream));
    // An unchanged group that waits on a changed one stays in the graph, so that order holds through it; it is skipped when reached.
    if (verdict.mark !== "unchanged" || upstreams.length > 0) live.add(name);
    const key = groupKey(template.name, name);
    const dependsOn = [
      ...upstreams.map((upstream) => `apply:${groupKey(template.name, upstream)}`),
      ...movingSecrets(group, making).map((secret) =>
        secretStepKey({ template: template.name, name: secret, kind: kindOf(template, secret) }),
      ),
      ...(replaced ? [`destroy:${key}`] : []),
    ];
    steps.push(applyStep({ key, template: template.name, name, group, ...verdict, dependsOn }));
  }
  steps.push(...issue(Object.keys(template.certificates ?? {})));
  const all = [...steps, ...removals(input, steps)];
  const ends = endsOf({ ...input, making, changed });
  return [...all, ...planSecretEnds(ends, all, "it is no longer in the template")];
}

/** Runs the planner to its end at once. */
export function planApplyNow(input: ApplyInput): readonly PlannedStep[] {
  const planning = planApply(input);
  for (;;) {
    const next = planning.next();
    if (next.done === true) return next.value;
  }
}

/**
 * Plans a destroy from the frozen records alone, dependents first. Records of different template versions may disagree
 * about who depends on whom; on a cycle the edge of the older record yields. Secrets and certificates go last.
 */
export function planDestroy(
  records: readonly GroupRecord[],
  secrets: readonly OwnedSecret[] = [],
): readonly PlannedStep[] {
  const groups = destroySteps(records);
  const ends = { going: secrets.filter((secret) => !isOfGroup(secret)), replaced: [] };
  return [...groups, ...planSecretEnds(ends, groups, "the environment is destroyed")];
}

function destroySteps(records: readonly GroupRecord[]): readonly PlannedStep[] {
  const byKey = new Map(records.map((record) => [groupKey(record.template, record.group), record]));
  const upstreams = withoutCycles(byKey);
  const dependents = reversed(upstreams);
  return [...byKey].map(([key, record]) =>
    destroyStep(
      record,
      (dependents.get(key) ?? []).map((dependent) => `destroy:${dependent}`),
      "the environment is destroyed",
    ),
  );
}

/** The HMAC that decides whether a group has anything to do: settings with secrets by fingerprint, files, executor and its behaviour. */
export function settingsFingerprint(
  group: Group,
  settings: Value,
  { rotation = 0, ...fingerprints }: Fingerprints & { readonly rotation?: number },
): string {
  const { behaviour, files } = fingerprints.executor(group);
  const plain = replaceSecrets(settings, (secret) => `secret:${secret.fingerprint}`);
  return fingerprints.of(
    canonicalJson({
      executor: group.executor,
      behaviour,
      files,
      settings: plain,
      outputs: [...group.outputs],
      // Left out where there are none, so that what was made before labels existed counts as unchanged.
      ...runsOnMember(group.runsOn),
      // Another certificate was asked for: only a group that has one is ever told so.
      ...(rotation === 0 ? {} : { rotation }),
    }),
  );
}

/** Outputs of a template's groups as their records hold them, in the form expressions see. */
export function outputsByGroup(
  records: readonly GroupRecord[],
  template: string,
): Record<string, { outputs: Values }> {
  const own = records.filter((record) => record.template === template);
  return Object.fromEntries(own.map((record) => [record.group, { outputs: record.outputs }]));
}

/** What every group is judged by. */
interface Known {
  readonly input: ApplyInput;
  readonly scope: Omit<Scope, "groups">;
  readonly outputs: Record<string, { outputs: Values }>;
  /** Secrets and certificates of which this plan makes another. */
  readonly making: ReadonlySet<string>;
}

interface Judged extends Known {
  readonly name: string;
  readonly group: Group;
  readonly record: GroupRecord | null;
  readonly changed: ReadonlySet<string>;
}

interface Verdict {
  readonly mark: "exact" | "deferred" | "unchanged";
  readonly reason: string;
}

function judge(of: Judged): Verdict {
  const { name, group, record, input, outputs } = of;
  const moving = unknownInputs(of);
  if (moving !== null) return { mark: "deferred", reason: moving };
  if (record === null) return { mark: "exact", reason: "new group" };
  if (record.executor !== group.executor)
    return { mark: "exact", reason: `its executor was ${record.executor}` };
  if (record.status === "partial")
    return { mark: "exact", reason: "its last apply did not end well" };
  if (record.drift === "drifted" || record.drift === "missing")
    return { mark: "exact", reason: "it has drifted" };
  const settings = settingsOf(name, group, { ...of.scope, groups: outputs });
  const rotation = group.certified === true ? (input.rotations[name] ?? 0) : 0;
  if (rotation > (groupCertificate(input, name)?.rotation ?? 0))
    return { mark: "exact", reason: "another certificate was asked for" };
  const fingerprint = settingsFingerprint(group, settings, { ...input.fingerprints, rotation });
  if (fingerprint === record.fingerprint) return { mark: "unchanged", reason: "unchanged" };
  if (canonicalJson(group.runsOn ?? []) !== canonicalJson(record.runsOn))
    return { mark: "exact", reason: "it runs on other workers now" };
  return { mark: "exact", reason: "its settings or files changed" };
}

/** Why its settings cannot be told yet; null when they can. */
function unknownInputs({ group, record, changed, making, input }: Judged): string | null {
  const outputs = group.inputs.filter((upstream) => changed.has(upstream)).slice(0, 3);
  const moving = movingSecrets(group, making);
  if (outputs.length === 0 && moving.length === 0) return null;
  const named = (kind: SecretKind): readonly string[] => {
    const names = moving.filter((name) => kindOf(input.template, name) === kind).slice(0, 3);
    return names.length === 0 ? [] : [`the ${kind} ${names.join(", ")}`];
  };
  const uses = [
    ...(outputs.length === 0 ? [] : [`outputs of ${outputs.join(", ")}`]),
    ...named("secret"),
    ...named("certificate"),
  ].join(" and ");
  if (record === null) return `new group; needs ${uses}`;
  return `uses ${uses}, which this ${outputs.length === 0 ? "makes anew" : "changes"}`;
}

/** A group's settings, filled in. What fails is said with the group, as a plan has many. */
export function settingsOf(name: string, group: Group, scope: Scope): Value {
  try {
    return evaluate(group.with, scope);
  } catch (error) {
    const { code, message } = asGlasshouseError(error);
    throw new GlasshouseError(code, `The settings of group ${name} cannot be told: ${message}`, {
      cause: error,
    });
  }
}

function applyStep(
  at: Verdict & {
    readonly key: string;
    readonly template: string;
    readonly name: string;
    readonly group: Group;
    readonly dependsOn: readonly string[];
  },
): PlannedStep {
  return {
    key: `apply:${at.key}`,
    phase: "apply",
    template: at.template,
    group: at.name,
    executor: at.group.executor,
    mark: at.mark,
    reason: at.reason,
    dependsOn: at.dependsOn,
    retry: at.group.retry,
    timeoutMs: at.group.timeoutMs,
    onFailure: at.group.onFailure,
    ...runsOnMember(at.group.runsOn),
    changes: [],
    input: null,
  };
}

function destroyStep(
  record: GroupRecord,
  dependsOn: readonly string[],
  reason: string,
): PlannedStep {
  return {
    key: `destroy:${groupKey(record.template, record.group)}`,
    phase: "destroy",
    template: record.template,
    group: record.group,
    executor: record.executor,
    mark: "destroy",
    reason,
    dependsOn,
    retry: { attempts: 3, backoffMs: 5_000 },
    timeoutMs: record.timeoutMs,
    onFailure: "stop",
    ...runsOnMember(record.runsOn),
    changes: [],
    input: null,
  };
}

/** Groups that the template no longer has go last, dependents first, after everything else has been made. */
function removals(input: ApplyInput, applies: readonly PlannedStep[]): readonly PlannedStep[] {
  const kept = new Set(Object.keys(input.template.groups));
  const gone = input.records.filter(
    (record) => record.template !== input.template.name || !kept.has(record.group),
  );
  if (gone.length === 0) return [];
  const depended = new Set(applies.flatMap((step) => step.dependsOn));
  const last = applies.filter(
    (step) => !depended.has(step.key) && (step.mark !== "unchanged" || step.dependsOn.length > 0),
  );
  const destroys = planDestroy(gone).map((step) => ({
    ...step,
    reason: "it is no longer in the template",
  }));
  if (last.length === 0) return destroys;
  const barrier = barrierStep(
    input.template.name,
    last.map((step) => step.key),
  );
  return [
    barrier,
    ...destroys.map((step) =>
      step.dependsOn.length > 0 ? step : { ...step, dependsOn: [barrier.key] },
    ),
  ];
}

/** One node between "all made" and "removals", so that the graph has sinks + removals edges and not their product. */
function barrierStep(template: string, dependsOn: readonly string[]): PlannedStep {
  return {
    key: "barrier:made",
    phase: "barrier",
    template,
    group: null,
    executor: null,
    mark: "exact",
    reason: "what is no longer in the template goes after the rest is made",
    dependsOn,
    retry: { attempts: 1, backoffMs: 0 },
    timeoutMs: 60_000,
    onFailure: "stop",
    changes: [],
    input: null,
  };
}

/** Upstreams among the records themselves, with cycles cut at the edge of the record that was applied first. */
function withoutCycles(records: ReadonlyMap<string, GroupRecord>): Map<string, string[]> {
  const edges = new Map(
    [...records].map(([key, record]) => [
      key,
      record.upstreams.filter((upstream) => records.has(upstream)),
    ]),
  );
  for (let cycle = shortestCycle(edges); cycle !== null; cycle = shortestCycle(edges)) {
    const oldest = cycle.reduce((a, b) =>
      (records.get(b)?.appliedAt ?? "") < (records.get(a)?.appliedAt ?? "") ? b : a,
    );
    const onCycle = new Set(cycle);
    edges.set(
      oldest,
      (edges.get(oldest) ?? []).filter((upstream) => !onCycle.has(upstream)),
    );
  }
  return edges;
}

function reversed(edges: ReadonlyMap<string, readonly string[]>): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const [from, tos] of edges) {
    for (const to of tos) {
      const known = result.get(to);
      if (known === undefined) result.set(to, [from]);
      else known.push(from);
    }
  }
  return result;
}
