import { effectiveParameters } from "../domain/desired.ts";
import type { CheckState } from "../domain/check.ts";
import type { Environment } from "../domain/environment.ts";
import { checkStatesOf, type CheckStates } from "../domain/health.ts";
import type { ObservedResource, Resource } from "../domain/resource.ts";
import type { SearchNode } from "../domain/search-query.ts";
import { isMade, type OwnedSecret } from "../domain/secret.ts";
import type { Parameter } from "../domain/template.ts";
import type { Values } from "../domain/value.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { EnvironmentFilter, GroupPlace } from "../ports/repositories.ts";
import type { ReadTx, SearchTx } from "../ports/store.ts";
import type { Reads } from "./deps.ts";
import { environmentQuery } from "./search.ts";
import { presentTemplateId } from "./desired-change.ts";
import { findEnvironment } from "./environment-find.ts";
import type { PlanRead } from "./plan.ts";
import { readRuns, type RunRead } from "./run.ts";

export interface EnvironmentRead {
  readonly environment: Environment;
  /** Those in effect: defaults filled in, secrets as references. */
  readonly parameters: Values;
  /** Declared ones, and certificates, that were made. */
  readonly secrets: readonly OwnedSecret[];
}

/** Errors: `not-found`. */
export async function getEnvironment(deps: Reads, idOrName: string): Promise<EnvironmentRead> {
  return deps.store.read(async (tx) => {
    const environment = await findEnvironment(tx, idOrName);
    return withParameters(tx, environment, new Map());
  });
}

/**
 * Newest first; destroyed ones only when they are asked for. With a query those that fit it. Errors: `invalid-request` for a
 * query that is not understood.
 */
export async function listEnvironments(
  deps: Reads,
  filter: EnvironmentFilter & { readonly query?: string },
  page: PageRequest,
): Promise<Page<EnvironmentRead>> {
  const { query } = filter;
  if (query === undefined)
    return deps.store.read(async (tx) => readAll(tx, await tx.environments.list(filter, page)));
  const parsed = environmentQuery({ ...filter, query });
  return deps.store.search(async (tx) => readAll(tx, await findEnvironments(tx, parsed, page)));
}

async function readAll(
  tx: ReadTx,
  { items, next }: Page<Environment>,
): Promise<Page<EnvironmentRead>> {
  const known: Declarations = new Map();
  const reads: EnvironmentRead[] = [];
  for (const environment of items) reads.push(await withParameters(tx, environment, known));
  return { items: reads, next };
}

async function findEnvironments(
  tx: SearchTx,
  query: SearchNode,
  page: PageRequest,
): Promise<Page<Environment>> {
  const { items, next } = await tx.searches.find(query, ["environment"], page);
  return {
    items: items.flatMap((one) => (one.kind === "environment" ? [one.environment] : [])),
    next,
  };
}

type Declarations = Map<string, Readonly<Record<string, Parameter>>>;

async function withParameters(
  tx: ReadTx,
  environment: Environment,
  known: Declarations,
): Promise<EnvironmentRead> {
  const id = presentTemplateId(environment);
  const declared = known.get(id) ?? (await tx.templates.get(id))?.body.parameters ?? {};
  known.set(id, declared);
  const given = environment.desired.templates[0]?.parameters ?? {};
  const owned = await tx.ownedSecrets.ofEnvironment(environment.id);
  const secrets = owned.filter((secret) => isMade(secret));
  return { environment, parameters: effectiveParameters(declared, given), secrets };
}

export interface EnvironmentResources {
  readonly environment: Environment;
  readonly resources: readonly Resource[];
  /** What its checks say. */
  readonly states: CheckStates;
  readonly observed: readonly (ObservedResource & GroupPlace & { readonly observedAt: string })[];
}

/** What its template declares of resources, and what executors found. Errors: `not-found`. */
export async function listEnvironmentResources(
  deps: Reads,
  idOrName: string,
): Promise<EnvironmentResources> {
  return deps.store.read(async (tx) => {
    const environment = await findEnvironment(tx, idOrName);
    return {
      environment,
      resources: await tx.resources.ofEnvironment(environment.id),
      states: checkStatesOf(await tx.checks.list(environment.id)),
      observed: await tx.resources.observedOf(environment.id),
    };
  });
}

/** Newest first. Errors: `not-found`. */
export async function listEnvironmentRuns(
  deps: Reads,
  idOrName: string,
  page: PageRequest,
): Promise<Page<RunRead>> {
  return deps.store.read(async (tx) => {
    const { id } = await findEnvironment(tx, idOrName);
    const { items, next } = await tx.runs.list({ environmentId: id }, page);
    return { items: await readRuns(tx, items), next };
  });
}

/** Newest first. Errors: `not-found`. */
export async function listEnvironmentPlans(
  deps: Reads,
  idOrName: string,
  page: PageRequest,
): Promise<Page<PlanRead>> {
  return deps.store.read(async (tx) => {
    const { id, name } = await findEnvironment(tx, idOrName);
    const { items, next } = await tx.plans.list(id, page);
    return { items: items.map((plan) => ({ plan, environmentName: name })), next };
  });
}

/** Its checks and what was last seen. Errors: `not-found`. */
export async function listEnvironmentChecks(
  deps: Reads,
  idOrName: string,
): Promise<readonly CheckState[]> {
  return deps.store.read(async (tx) => {
    const { id } = await findEnvironment(tx, idOrName);
    return tx.checks.list(id);
  });
}
