import type { ApiServices } from "../api/http/services.ts";
import { later } from "../lib/later.ts";
import type { AuthorityDeps } from "../services/authority.ts";
import type { BusDeps } from "../services/bus.ts";
import type { Services } from "../services/deps.ts";

// A start gets by without them: they are loaded by the first request, or with the rest of what commands need.
const parts = {
  command: later(() => import("../services/command.ts")),
  environment: later(() => import("../services/environment.ts")),
  environmentGraph: later(() => import("../services/environment-graph.ts")),
  environmentDrift: later(() => import("../services/environment-drift.ts")),
  template: later(() => import("../services/template.ts")),
  resource: later(() => import("../services/resource.ts")),
  search: later(() => import("../services/search.ts")),
  run: later(() => import("../services/run.ts")),
  step: later(() => import("../services/step.ts")),
  worker: later(() => import("../services/worker.ts")),
  authority: later(() => import("../services/authority.ts")),
  plan: later(() => import("../services/plan.ts")),
  event: later(() => import("../services/event.ts")),
  bus: later(() => import("../services/bus.ts")),
};

/** Loads all of them. */
export async function loadServices(): Promise<void> {
  await Promise.all(Object.values(parts).map((load) => load()));
}

/** The use cases that the REST API stands on, with what they need already in place. */
export function apiServices(
  deps: Services & BusDeps & AuthorityDeps,
  accept: ApiServices["accept"],
): ApiServices {
  return {
    accept,
    getCommand: async (id) => (await parts.command()).getCommand(deps, id),
    getEnvironment: async (name) => (await parts.environment()).getEnvironment(deps, name),
    listEnvironments: async (filter, page) =>
      (await parts.environment()).listEnvironments(deps, filter, page),
    listEnvironmentResources: async (name) =>
      (await parts.environment()).listEnvironmentResources(deps, name),
    getEnvironmentGraph: async (name) =>
      (await parts.environmentGraph()).getEnvironmentGraph(deps, name),
    listEnvironmentRuns: async (name, page) =>
      (await parts.environment()).listEnvironmentRuns(deps, name, page),
    listEnvironmentPlans: async (name, page) =>
      (await parts.environment()).listEnvironmentPlans(deps, name, page),
    listEnvironmentChecks: async (name) =>
      (await parts.environment()).listEnvironmentChecks(deps, name),
    getEnvironmentDrift: async (name) =>
      (await parts.environmentDrift()).getEnvironmentDrift(deps, name),
    listTemplates: async (page, query) => (await parts.template()).listTemplates(deps, page, query),
    listTemplateVersions: async (name) => (await parts.template()).listTemplateVersions(deps, name),
    getTemplate: async (name, version) => (await parts.template()).getTemplate(deps, name, version),
    getCompatibility: async (id) => (await parts.template()).getCompatibility(deps, id),
    listResources: async (page, query) => (await parts.resource()).listResources(deps, page, query),
    getResource: async (id) => (await parts.resource()).getResource(deps, id),
    search: async (query, page) => (await parts.search()).search(deps, query, page),
    getRun: async (id) => (await parts.run()).getRun(deps, id),
    listSteps: async (runId, page) => (await parts.step()).listSteps(deps, runId, page),
    getStep: async (id) => (await parts.step()).getStep(deps, id),
    readStepLog: async (stepId, after, limit) =>
      (await parts.step()).readStepLog(deps, stepId, { after, limit }),
    listWorkers: async () => (await parts.worker()).listWorkers(deps),
    listAuthorities: async () => (await parts.authority()).listAuthorities(deps),
    getPlan: async (id) => (await parts.plan()).getPlan(deps, id),
    listEvents: async (after, filter) => (await parts.event()).listEvents(deps, after, filter),
    getBus: async () => (await parts.bus()).getBus(deps),
    redriveBus: async (request) => (await parts.bus()).redriveBus(deps, request),
    journalEdges: async () => (await parts.event()).journalEdges(deps),
  };
}
