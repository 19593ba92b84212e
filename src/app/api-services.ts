import type { ApiServices } from "../api/http/services.ts";
import { listAuthorities, type AuthorityDeps } from "../services/authority.ts";
import { getBus, redriveBus, type BusDeps } from "../services/bus.ts";
import { getCommand } from "../services/command.ts";
import type { Services } from "../services/deps.ts";
import { getEnvironmentDrift } from "../services/environment-drift.ts";
import { getEnvironmentGraph } from "../services/environment-graph.ts";
import {
  getEnvironment,
  listEnvironmentChecks,
  listEnvironmentPlans,
  listEnvironmentResources,
  listEnvironmentRuns,
  listEnvironments,
} from "../services/environment.ts";
import { journalEdges, listEvents } from "../services/event.ts";
import { getPlan } from "../services/plan.ts";
import { getResource, listResources } from "../services/resource.ts";
import { getRun } from "../services/run.ts";
import { getStep, listSteps, readStepLog } from "../services/step.ts";
import {
  getCompatibility,
  getTemplate,
  listTemplates,
  listTemplateVersions,
} from "../services/template.ts";
import { listWorkers } from "../services/worker.ts";

/** The use cases that the REST API stands on, with what they need already in place. */
export function apiServices(
  deps: Services & BusDeps & AuthorityDeps,
  accept: ApiServices["accept"],
): ApiServices {
  return {
    accept,
    getCommand: (id) => getCommand(deps, id),
    getEnvironment: (name) => getEnvironment(deps, name),
    listEnvironments: (filter, page) => listEnvironments(deps, filter, page),
    listEnvironmentResources: (name) => listEnvironmentResources(deps, name),
    getEnvironmentGraph: (name) => getEnvironmentGraph(deps, name),
    listEnvironmentRuns: (name, page) => listEnvironmentRuns(deps, name, page),
    listEnvironmentPlans: (name, page) => listEnvironmentPlans(deps, name, page),
    listEnvironmentChecks: (name) => listEnvironmentChecks(deps, name),
    getEnvironmentDrift: (name) => getEnvironmentDrift(deps, name),
    listTemplates: (page) => listTemplates(deps, page),
    listTemplateVersions: (name) => listTemplateVersions(deps, name),
    getTemplate: (name, version) => getTemplate(deps, name, version),
    getCompatibility: (id) => getCompatibility(deps, id),
    listResources: (page) => listResources(deps, page),
    getResource: (id) => getResource(deps, id),
    getRun: (id) => getRun(deps, id),
    listSteps: (runId, page) => listSteps(deps, runId, page),
    getStep: (id) => getStep(deps, id),
    readStepLog: (stepId, after, limit) => readStepLog(deps, stepId, { after, limit }),
    listWorkers: () => listWorkers(deps),
    listAuthorities: () => listAuthorities(deps),
    getPlan: (id) => getPlan(deps, id),
    listEvents: (after, filter) => listEvents(deps, after, filter),
    getBus: () => getBus(deps),
    redriveBus: (request) => redriveBus(deps, request),
    journalEdges: () => journalEdges(deps),
  };
}
