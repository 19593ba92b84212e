import { certificateScope } from "../domain/certificate-declared.ts";
import { evaluate, type Scope } from "../domain/expression.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { outputsByGroup, settingsFingerprint, type Fingerprints } from "../domain/planner.ts";
import { groupKey, type GroupRecord } from "../domain/record.ts";
import { secretScope, type OwnedSecret } from "../domain/secret.ts";
import { wantedRotations } from "../domain/secret-plan.ts";
import type { Step } from "../domain/step.ts";
import type { Group } from "../domain/template.ts";
import type { Value } from "../domain/value.ts";
import type { ReadTx } from "../ports/store.ts";
import type { EngineDeps } from "./deps.ts";
import type { EnvironmentState, RunFacts } from "./run-cache.ts";
import { filesDigest } from "./template-files.ts";

/** What a step acts with: the settings filled in, the record of its last apply, and what decides whether it has work. */
export interface StepInputs {
  readonly group: Group | null;
  readonly record: GroupRecord | null;
  readonly settings: Value;
  /** Worked out when it is first asked for. Null for steps that act by their record. */
  readonly fingerprint: () => string | null;
  /** What its expressions may name. Null for steps that act by their record. */
  readonly scope: Scope | null;
}

/** What a step of one run is. */
interface StepOf {
  readonly facts: RunFacts;
  readonly step: Step;
}

/** For an apply: settings evaluated with what its upstreams delivered. Errors: `step-failed` for what cannot be evaluated. */
export async function applyInputs(tx: ReadTx, deps: EngineDeps, of: StepOf): Promise<StepInputs> {
  const { facts, step } = of;
  const group = groupOf(of);
  const records = await tx.records.some(facts.environment.id, step.template, wantedRecords(of));
  const secrets = group.secrets === undefined ? [] : await ownedSecrets(tx, facts);
  return evaluatedInputs(deps, of, { records, secrets });
}

/** More records than this are read when the step begins, and by then the claim's transaction is over. */
const mostAhead = 16;

/**
 * Asks, in the transaction that claims an apply, for the records that its inputs come from: the step begins with them, and
 * needs no read of its own. Null where it needs more than a few records.
 */
export async function askAhead(
  tx: ReadTx,
  of: StepOf,
): Promise<{ readonly answer: Promise<readonly GroupRecord[] | null> } | null> {
  const { facts, step } = of;
  const group = step.phase === "apply" ? facts.template.body.groups[step.group ?? ""] : undefined;
  if (group === undefined || group.secrets !== undefined) return null;
  const wanted = wantedRecords(of);
  if (wanted.length > mostAhead) return null;
  return tx.records.ask(facts.environment.id, step.template, wanted);
}

/** As `applyInputs`, of records that were asked for ahead. */
export function evaluatedInputs(
  deps: EngineDeps,
  of: StepOf,
  known: {
    readonly records: readonly GroupRecord[];
    readonly secrets: readonly OwnedSecret[];
  },
): StepInputs {
  const { facts, step } = of;
  const group = groupOf(of);
  const scope: Scope = scopeOf(facts, known.records, known.secrets);
  const settings = evaluate(group.with, scope);
  const rotation = rotationOf(facts, group, step.group ?? "");
  const printed = { ...fingerprintsOf(deps, facts), rotation };
  let made: string | null = null;
  const fingerprint = (): string => (made ??= settingsFingerprint(group, settings, printed));
  const record = known.records.find((one) => one.group === step.group) ?? null;
  return { group, record, settings, fingerprint, scope };
}

/** Which wish for another certificate its run fulfils; 0 for groups that have none. */
export function rotationOf({ run, template }: RunFacts, group: Group | null, name: string): number {
  if (group?.certified !== true) return 0;
  return wantedRotations(run, template.name)[name] ?? 0;
}

function groupOf({ facts, step }: StepOf): Group {
  const group = facts.template.body.groups[step.group ?? ""];
  if (group !== undefined) return group;
  throw new GlasshouseError(
    "internal",
    `Step ${step.id} names group ${step.group ?? ""}, which its template does not have.`,
  );
}

/** Its own, and those of the groups whose outputs it may name. */
function wantedRecords(of: StepOf): readonly string[] {
  const group = groupOf(of);
  const ofResources = Object.keys(group.resources).length > 0 ? group.upstreams : [];
  return [...new Set([of.step.group ?? "", ...group.inputs, ...ofResources])];
}

export const noFingerprint = (): null => null;

/** For destroy and observe: everything comes from the frozen record, never from the template. */
export async function recordInputs(tx: ReadTx, step: Step): Promise<StepInputs> {
  const record = await tx.records.get(step.environmentId, step.template, step.group ?? "");
  if (record === null) {
    throw new GlasshouseError(
      "state-missing",
      `There is no record of group ${groupKey(step.template, step.group ?? "")}, so it cannot be taken down or looked at.`,
    );
  }
  return {
    group: null,
    record,
    settings: record.settings,
    fingerprint: noFingerprint,
    scope: null,
  };
}

/** The declared secrets and certificates of the run's environment; costs nothing where the template declares none. */
export async function ownedSecrets(
  tx: ReadTx,
  { template, environment }: Pick<RunFacts, "template" | "environment">,
): Promise<readonly OwnedSecret[]> {
  const { secrets, certificates } = template.body;
  const none = secrets === undefined && certificates === undefined;
  return none ? [] : tx.ownedSecrets.ofEnvironment(environment.id);
}

/** `secrets` only where expressions may use them. */
export function scopeOf(
  facts: EnvironmentState,
  records: readonly GroupRecord[],
  secrets: readonly OwnedSecret[] = [],
): Scope {
  return {
    parameters: facts.parameters,
    environment: facts.environment,
    requires: facts.requires,
    groups: outputsByGroup(records, facts.template.name),
    entrypoints: {},
    secrets: secretScope(secrets, facts.template.name),
    certificates: certificateScope(secrets, facts.template.name),
    declared: facts.template.body.parameters,
  };
}

export function fingerprintsOf(deps: EngineDeps, facts: Pick<RunFacts, "template">): Fingerprints {
  return {
    of: (text) => deps.sealer.fingerprint(text),
    executor: (group) => {
      const executor = deps.executors.get(group.executor);
      if (executor === undefined) return { behaviour: 0, files: "" };
      return {
        behaviour: executor.behaviour,
        files: filesDigest(facts.template.files, executor.filesOf(group.with)),
      };
    },
  };
}
