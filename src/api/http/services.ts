import type { CheckState } from "../../domain/check.ts";
import type { Command } from "../../domain/command.ts";
import type { Environment, EnvironmentStatus } from "../../domain/environment.ts";
import type { JournalEvent } from "../../domain/event.ts";
import type { SavedPlan } from "../../domain/plan.ts";
import type { DriftStatus } from "../../domain/record.ts";
import type { Change, ObservedResource, Resource } from "../../domain/resource.ts";
import type { Run } from "../../domain/run.ts";
import type { Step } from "../../domain/step.ts";
import type { Template } from "../../domain/template.ts";
import type { Values } from "../../domain/value.ts";
import type { Page, PageRequest } from "../../ports/page.ts";
import type { GroupPlace, TemplateSummary } from "../../ports/repositories.ts";
import type { LogLine } from "../../ports/work.ts";
import type { CommandRequest } from "../../services/effect.ts";

/**
 * What this way in needs of the services. Reads give the product's nouns; their public form is made here. An unknown id or
 * name is `not-found`.
 */
export interface ApiServices {
  /** Resolves when the command is committed. Safe to repeat with the same source and id. */
  accept(request: CommandRequest): Promise<Command>;
  getCommand(id: string): Promise<Command>;
  getEnvironment(idOrName: string): Promise<EnvironmentRead>;
  listEnvironments(filter: EnvironmentFilter, page: PageRequest): Promise<Page<EnvironmentRead>>;
  listEnvironmentResources(idOrName: string): Promise<EnvironmentResources>;
  getEnvironmentGraph(idOrName: string): Promise<Graph>;
  listEnvironmentRuns(idOrName: string, page: PageRequest): Promise<Page<RunRead>>;
  listEnvironmentPlans(idOrName: string, page: PageRequest): Promise<Page<PlanRead>>;
  listEnvironmentChecks(idOrName: string): Promise<readonly CheckState[]>;
  getEnvironmentDrift(idOrName: string): Promise<DriftRead>;
  listTemplates(page: PageRequest): Promise<Page<TemplateSummary>>;
  listTemplateVersions(nameOrId: string): Promise<readonly TemplateSummary[]>;
  /** `latest` means the highest active release. */
  getTemplate(nameOrId: string, version: string): Promise<Template>;
  listResources(page: PageRequest): Promise<Page<ResourceRead>>;
  getResource(id: string): Promise<ResourceRead>;
  getRun(id: string): Promise<RunRead>;
  listSteps(runId: string, page: PageRequest): Promise<Page<Step>>;
  getStep(id: string): Promise<Step>;
  /** Lines after a number, oldest first. */
  readStepLog(stepId: string, after: number, limit: number): Promise<readonly LogLine[]>;
  getPlan(id: string): Promise<PlanRead>;
  /** Events after a position, oldest first. */
  listEvents(
    after: number,
    filter: { readonly environmentId?: string; readonly runId?: string; readonly limit: number },
  ): Promise<readonly JournalEvent[]>;
  journalEdges(): Promise<{ readonly head: number; readonly oldest: number }>;
}

export interface EnvironmentFilter {
  readonly status?: EnvironmentStatus;
  readonly includeDestroyed?: boolean;
}

export interface EnvironmentRead {
  readonly environment: Environment;
  /** Those that are in effect: defaults filled in. */
  readonly parameters: Values;
}

export interface EnvironmentResources {
  readonly environment: Environment;
  readonly resources: readonly Resource[];
  readonly observed: readonly (ObservedResource & GroupPlace & { readonly observedAt: string })[];
}

export interface Graph {
  readonly nodes: readonly {
    readonly id: string;
    readonly kind: string;
    readonly name: string;
    readonly template: string | null;
    readonly group: string | null;
    readonly executor: string | null;
    readonly status: string | null;
    readonly reason: string | null;
  }[];
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly kind: string;
  }[];
}

export interface DriftRead {
  readonly environment: Environment;
  /** The last run that looked. */
  readonly run: Run | null;
  readonly groups: readonly {
    readonly template: string;
    readonly group: string;
    readonly executor: string;
    readonly drift: DriftStatus;
    readonly changes: readonly Change[];
  }[];
}

export interface ResourceRead {
  readonly resource: Resource;
  readonly environmentName: string;
}

export interface RunRead {
  readonly run: Run;
  readonly environmentName: string;
  /** Runs of its environment that go first; null when it is not queued. */
  readonly position: number | null;
}

export interface PlanRead {
  readonly plan: SavedPlan;
  readonly environmentName: string;
}
