import type { Environment } from "../domain/environment.ts";
import { groupKey, type DriftStatus } from "../domain/record.ts";
import type { Change } from "../domain/resource.ts";
import { isEnded, type Run } from "../domain/run.ts";
import type { ReadTx } from "../ports/store.ts";
import type { Reads } from "./deps.ts";
import { findEnvironment } from "./environment-find.ts";
import { allSteps } from "./step.ts";

export interface DriftRead {
  readonly environment: Environment;
  /** The last run that looked; null when none has. */
  readonly run: Run | null;
  readonly groups: readonly {
    readonly template: string;
    readonly group: string;
    readonly executor: string;
    readonly drift: DriftStatus;
    readonly changes: readonly Change[];
  }[];
}

/** What is known to differ from what was made, by group. `environment.refresh` looks again. Errors: `not-found`. */
export async function getEnvironmentDrift(deps: Reads, idOrName: string): Promise<DriftRead> {
  return deps.store.read(async (tx) => {
    const environment = await findEnvironment(tx, idOrName);
    const run = await lastLook(tx, environment.id);
    const steps = run === null ? [] : await allSteps(tx, run.id);
    const changes = new Map(
      steps
        .filter((step) => step.phase === "observe")
        .map((step) => [groupKey(step.template, step.group ?? ""), step.changes]),
    );
    const records = await tx.records.list(environment.id);
    const groups = records.map(({ template, group, executor, drift }) => ({
      template,
      group,
      executor,
      drift,
      changes:
        drift === "drifted" || drift === "missing"
          ? (changes.get(groupKey(template, group)) ?? [])
          : [],
    }));
    return { environment, run, groups };
  });
}

const pageSize = 100;
const mostPages = 10;

async function lastLook(tx: ReadTx, environmentId: string): Promise<Run | null> {
  let cursor: string | null = null;
  for (let pages = 0; pages < mostPages; pages += 1) {
    const page: { readonly items: readonly Run[]; readonly next: string | null } =
      await tx.runs.list({ environmentId }, { limit: pageSize, cursor });
    const found = page.items.find((run) => run.kind === "refresh" && isEnded(run));
    if (found !== undefined) return found;
    cursor = page.next;
    if (cursor === null) break;
  }
  return null;
}
