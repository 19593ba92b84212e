import { groupKey, type GroupRecord } from "../domain/record.ts";
import type { Step } from "../domain/step.ts";
import type { Action, TemplateBody } from "../domain/template.ts";
import { checksOf } from "../domain/template-checks.ts";
import type { ReadTx } from "../ports/store.ts";
import type { ServiceExecutor } from "./deps.ts";

/** Something that a command is sure to run, and the labels that it asks of its worker. */
export interface Asking {
  /** For people: `group train`. */
  readonly what: string;
  readonly runsOn: readonly string[];
}

/**
 * What an apply is sure to run and asks for labels: groups that are new or run elsewhere now, groups that go, and checks.
 * Whether the other groups have anything to do is known only when it is planned; those wait if they have to.
 */
export async function askingOfApply(
  tx: ReadTx,
  environmentId: string,
  body: TemplateBody,
): Promise<readonly Asking[]> {
  const { moved, going } = await changedGroups(tx, environmentId, body);
  return [...askingOfGroups([...moved, ...going]), ...askingOfChecks(body)];
}

/**
 * A plan is sure to ask the executors of what it would make anew, unless they foresee it without a look, or need outputs
 * that are not known yet. What goes and what is checked is only named.
 */
export async function askingOfPlan(
  tx: ReadTx,
  of: {
    readonly environmentId: string;
    readonly body: TemplateBody;
    readonly executors: readonly ServiceExecutor[];
  },
): Promise<readonly Asking[]> {
  const { environmentId, body, executors } = of;
  const foreseen = new Set(
    executors.filter(({ foresee }) => foresee !== undefined).map(({ name }) => name),
  );
  const { moved } = await changedGroups(tx, environmentId, body);
  const asked = moved.filter(({ group }) => {
    const declared = body.groups[group];
    return declared?.inputs.length === 0 && !foreseen.has(declared.executor);
  });
  return askingOfGroups(asked);
}

async function changedGroups(
  tx: ReadTx,
  environmentId: string,
  body: TemplateBody,
): Promise<{ readonly moved: readonly LabelledGroup[]; readonly going: readonly LabelledGroup[] }> {
  const records = await tx.records.labelled(environmentId);
  const made = new Map(
    records.map(({ template, group, runsOn }) => [groupKey(template, group), runsOn.join()]),
  );
  const moved = labelledGroups(body).filter(
    ({ group, runsOn }) => made.get(groupKey(body.name, group)) !== runsOn.join(),
  );
  const going = records.filter(
    ({ template, group }) => template !== body.name || !Object.hasOwn(body.groups, group),
  );
  return { moved, going };
}

/** Everything of a template that asks for labels: what making an environment of it runs. */
export function askingOfNew(body: TemplateBody): readonly Asking[] {
  return [...askingOfGroups(labelledGroups(body)), ...askingOfChecks(body)];
}

type LabelledGroup = Pick<GroupRecord, "group" | "runsOn">;

function labelledGroups({ groups }: TemplateBody): readonly LabelledGroup[] {
  const found: LabelledGroup[] = [];
  for (const [group, { runsOn }] of Object.entries(groups))
    if (runsOn !== undefined) found.push({ group, runsOn });
  return found;
}

export function askingOfChecks(body: TemplateBody): readonly Asking[] {
  return checksOf(body).map(({ key, runsOn }) => ({ what: `check ${key}`, runsOn }));
}

/** What makes these groups, takes them down, or looks at them. */
export function askingOfGroups(groups: readonly LabelledGroup[]): readonly Asking[] {
  return groups.map(({ group, runsOn }) => ({ what: `group ${group}`, runsOn }));
}

export function askingOfAction(name: string, { runsOn }: Action): readonly Asking[] {
  return [{ what: `action ${name}`, runsOn: runsOn ?? [] }];
}

/** Steps of a run or of a saved plan. */
export function askingOfSteps(
  steps: readonly (Pick<Step, "key" | "group"> & { readonly runsOn?: readonly string[] })[],
): readonly Asking[] {
  return steps.map(({ key, group, runsOn }) => ({
    what: group === null ? key : `group ${group}`,
    runsOn: runsOn ?? [],
  }));
}
