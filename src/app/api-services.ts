import type { ApiServices } from "../api/http/services.ts";
import { later } from "../lib/later.ts";
import type { AuthorityDeps } from "../services/authority.ts";
import type { BusDeps } from "../services/bus.ts";
import type { Services } from "../services/deps.ts";

// A start gets by without them: they are loaded by the first request, or with the rest of what commands need.
const command = later(() => import("../services/command.ts"));
const environment = later(() => import("../services/environment.ts"));
const environmentGraph = later(() => import("../services/environment-graph.ts"));
const environmentDrift = later(() => import("../services/environment-drift.ts"));
const template = later(() => import("../services/template.ts"));
const resource = later(() => import("../services/resource.ts"));
const run = later(() => import("../services/run.ts"));
const step = later(() => import("../services/step.ts"));
const worker = later(() => import("../services/worker.ts"));
const authority = later(() => import("../services/authority.ts"));
const plan = later(() => import("../services/plan.ts"));
const event = later(() => import("../services/event.ts"));
const bus = later(() => import("../services/bus.ts"));

/** Loads all of them. */
export async function loadServices(): Promise<void> {
  await Promise.all([
    command(),
    environment(),
    environmentGraph(),
    environmentDrift(),
    template(),
    resource(),
    run(),
    step(),
    worker(),
    authority(),
    plan(),
    event(),
    bus(),
  ]);
}

/** The use cases that the REST API stands on, with what they need already in place. */
export function apiServices(
  deps: Services & BusDeps & AuthorityDeps,
  accept: ApiServices["accept"],
): ApiServices {
  return {
    accept,
    getCommand: async (id) => (await command()).getCommand(deps, id),
    getEnvironment: async (name) => (await environment()).getEnvironment(deps, name),
    listEnvironments: async (filter, page) =>
      (await environment()).listEnvironments(deps, filter, page),
    listEnvironmentResources: async (name) =>
      (await environment()).listEnvironmentResources(deps, name),
    getEnvironmentGraph: async (name) => (await environmentGraph()).getEnvironmentGraph(deps, name),
    listEnvironmentRuns: async (name, page) =>
      (await environment()).listEnvironmentRuns(deps, name, page),
    listEnvironmentPlans: async (name, page) =>
      (await environment()).listEnvironmentPlans(deps, name, page),
    listEnvironmentChecks: async (name) => (await environment()).listEnvironmentChecks(deps, name),
    getEnvironmentDrift: async (name) => (await environmentDrift()).getEnvironmentDrift(deps, name),
    listTemplates: async (page) => (await template()).listTemplates(deps, page),
    listTemplateVersions: async (name) => (await template()).listTemplateVersions(deps, name),
    getTemplate: async (name, version) => (await template()).getTemplate(deps, name, version),
    getCompatibility: async (id) => (await template()).getCompatibility(deps, id),
    listResources: async (page) => (await resource()).listResources(deps, page),
    getResource: async (id) => (await resource()).getResource(deps, id),
    getRun: async (id) => (await run()).getRun(deps, id),
    listSteps: async (runId, page) => (await step()).listSteps(deps, runId, page),
    getStep: async (id) => (await step()).getStep(deps, id),
    readStepLog: async (stepId, after, limit) =>
      (await step()).readStepLog(deps, stepId, { after, limit }),
    listWorkers: async () => (await worker()).listWorkers(deps),
    listAuthorities: async () => (await authority()).listAuthorities(deps),
    getPlan: async (id) => (await plan()).getPlan(deps, id),
    listEvents: async (after, filter) => (await event()).listEvents(deps, after, filter),
    getBus: async () => (await bus()).getBus(deps),
    redriveBus: async (request) => (await bus()).redriveBus(deps, request),
    journalEdges: async () => (await event()).journalEdges(deps),
  };
}
