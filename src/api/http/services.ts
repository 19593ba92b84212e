import type { CheckState } from "../../domain/check.ts";
import type { Command } from "../../domain/command.ts";
import type { EnvironmentStatus } from "../../domain/environment.ts";
import type { JournalEvent } from "../../domain/event.ts";
import type { Step } from "../../domain/step.ts";
import type { Template } from "../../domain/template.ts";
import type { Page, PageRequest } from "../../ports/page.ts";
import type { TemplateSummary } from "../../ports/repositories.ts";
import type { LogLine } from "../../ports/work.ts";
import type { RedriveRequest, Redriven } from "../../ports/bus.ts";
import type { AuthorityRead } from "../../services/authority.ts";
import type { BusRead } from "../../services/bus.ts";
import type { CommandRequest } from "../../services/effect.ts";
import type { DriftRead } from "../../services/environment-drift.ts";
import type { Graph } from "../../services/environment-graph.ts";
import type { EnvironmentRead, EnvironmentResources } from "../../services/environment.ts";
import type { PlanRead } from "../../services/plan.ts";
import type { ResourceRead } from "../../services/resource.ts";
import type { SearchHit } from "../../services/search.ts";
import type { RunRead } from "../../services/run.ts";
import type { CompatibilityRead } from "../../services/template.ts";
import type { WorkerRead } from "../../services/worker.ts";

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
  /** Of those that fit the query, when there is one. */
  listTemplates(page: PageRequest, query?: string): Promise<Page<TemplateSummary>>;
  listTemplateVersions(nameOrId: string): Promise<readonly TemplateSummary[]>;
  /** `latest` means the highest active release. */
  getTemplate(nameOrId: string, version: string): Promise<Template>;
  /** What a version changes against the one before it; null for the first. Left out of replies where it is not given. */
  getCompatibility?(templateId: string): Promise<CompatibilityRead | null>;
  listResources(page: PageRequest, query?: string): Promise<Page<ResourceRead>>;
  getResource(id: string): Promise<ResourceRead>;
  search(query: string, page: PageRequest): Promise<Page<SearchHit>>;
  getRun(id: string): Promise<RunRead>;
  listSteps(runId: string, page: PageRequest): Promise<Page<Step>>;
  getStep(id: string): Promise<Step>;
  /** Lines after a number, oldest first. */
  readStepLog(stepId: string, after: number, limit: number): Promise<readonly LogLine[]>;
  listWorkers(): Promise<readonly WorkerRead[]>;
  listAuthorities(): Promise<readonly AuthorityRead[]>;
  getPlan(id: string): Promise<PlanRead>;
  /** Events after a position, oldest first. */
  listEvents(
    after: number,
    filter: { readonly environmentId?: string; readonly runId?: string; readonly limit: number },
  ): Promise<readonly JournalEvent[]>;
  getBus(): Promise<BusRead>;
  redriveBus(request: RedriveRequest & { readonly actor: string }): Promise<Redriven>;
  journalEdges(): Promise<{ readonly head: number; readonly oldest: number }>;
}

export interface EnvironmentFilter {
  readonly status?: EnvironmentStatus;
  readonly includeDestroyed?: boolean;
  /** In the language of search. */
  readonly query?: string;
}
