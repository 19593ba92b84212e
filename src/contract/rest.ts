import type { z } from "zod";
import { authorityRoutes, type authorityView } from "./rest-authority.ts";
import { busRoutes } from "./rest-bus.ts";
import { commandRoutes, type commandBody, type commandView } from "./rest-command.ts";
import {
  environmentRoutes,
  type checkView,
  type createEnvironmentBody,
  type driftView,
  type environmentView,
  type updateEnvironmentBody,
} from "./rest-environment.ts";
import { eventRoutes, type eventView } from "./rest-event.ts";
import { planRoutes, type planSummaryView, type planView } from "./rest-plan.ts";
import { resourceRoutes, type observedView, type resourceView } from "./rest-resource.ts";
import type { Reply, Route } from "./rest-route.ts";
import {
  runRoutes,
  type logLineView,
  type retryBody,
  type runView,
  type stepView,
} from "./rest-run.ts";
import { searchRoutes, type searchHitView } from "./rest-search.ts";
import { serviceRoutes, type healthView, type infoView, type versionView } from "./rest-service.ts";
import {
  templateRoutes,
  type parameterView,
  type registerTemplateBody,
  type templateSummaryView,
  type templateView,
} from "./rest-template.ts";
import { workerRoutes, type workerView } from "./rest-worker.ts";
import type { changeView, failureView, graphView } from "./schemas.ts";

/** Every operation of the REST API, once. Routes, the OpenAPI document and clients come from it. */
export const routes = [
  ...environmentRoutes,
  ...templateRoutes,
  ...runRoutes,
  ...planRoutes,
  ...resourceRoutes,
  ...searchRoutes,
  ...commandRoutes,
  ...eventRoutes,
  ...busRoutes,
  ...workerRoutes,
  ...authorityRoutes,
  ...serviceRoutes,
] as const satisfies readonly Route[];

export type RouteTable = (typeof routes)[number];
export type RouteId = RouteTable["id"];
export type RouteOf<Id extends RouteId> = Extract<RouteTable, { readonly id: Id }>;

/** The part of a route with this key, or `Otherwise` when it has none. */
type Part<R, Key extends string, Otherwise> = R extends { readonly [K in Key]: infer P }
  ? P
  : Otherwise;
type Parsed<S, Otherwise> = S extends z.ZodType ? z.output<S> : Otherwise;
type Sent<S, Otherwise> = S extends z.ZodType ? z.input<S> : Otherwise;
type Nothing = Readonly<Record<string, never>>;

/** What a handler gets: parsed. */
export type ParamsOf<Id extends RouteId> = Parsed<Part<RouteOf<Id>, "params", null>, Nothing>;
export type QueryOf<Id extends RouteId> = Parsed<Part<RouteOf<Id>, "query", null>, Nothing>;
export type BodyOf<Id extends RouteId> = Parsed<
  Part<Part<RouteOf<Id>, "body", null>, "schema", null>,
  undefined
>;
/** What a client sends. */
export type SentQueryOf<Id extends RouteId> = Sent<Part<RouteOf<Id>, "query", null>, Nothing>;
export type SentBodyOf<Id extends RouteId> = Sent<
  Part<Part<RouteOf<Id>, "body", null>, "schema", null>,
  undefined
>;
/** The body of its success. */
export type ReplyOf<Id extends RouteId> =
  RouteOf<Id>["replies"] extends Readonly<Record<number, infer R>>
    ? R extends { readonly schema: infer S extends z.ZodType }
      ? View<S>
      : never
    : never;

/** What a schema of a reply describes, readonly throughout. */
type View<S extends z.ZodType> = Frozen<z.output<S>>;
type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** The route with this id. */
export function routeOf<Id extends RouteId>(id: Id): RouteOf<Id> {
  const found = routes.find((route): route is RouteOf<Id> => route.id === id);
  if (found === undefined) throw new Error(`There is no route ${id} in the table.`);
  return found;
}

/** The reply that a route gives with this status, if the table has it. */
export function replyOf(route: Route, status: number): Reply | undefined {
  return route.replies[status];
}

/** The path with its parts filled in and escaped. */
export function pathOf(route: Route, params: Readonly<Record<string, string>>): string {
  return route.path.replaceAll(/\{(\w+)\}/gu, (_, name: string) =>
    encodeURIComponent(params[name] ?? ""),
  );
}

export type { Problem } from "./problem.ts";
export type EnvironmentView = View<typeof environmentView>;
export type DriftView = View<typeof driftView>;
export type CheckView = View<typeof checkView>;
export type RunView = View<typeof runView>;
export type StepView = View<typeof stepView>;
export type LogLineView = View<typeof logLineView>;
export type TemplateSummaryView = View<typeof templateSummaryView>;
export type TemplateView = View<typeof templateView>;
export type ParameterView = View<typeof parameterView>;
export type CommandView = View<typeof commandView>;
export type ResourceView = View<typeof resourceView>;
export type ObservedView = View<typeof observedView>;
export type SearchHitView = View<typeof searchHitView>;
export type EventView = View<typeof eventView>;
export type PlanView = View<typeof planView>;
export type PlanSummaryView = View<typeof planSummaryView>;
export type GraphView = View<typeof graphView>;
export type ChangeView = View<typeof changeView>;
export type FailureView = View<typeof failureView>;
export type WorkerView = View<typeof workerView>;
export type AuthorityView = View<typeof authorityView>;
export type HealthView = View<typeof healthView>;
export type VersionView = View<typeof versionView>;
export type InfoView = View<typeof infoView>;
export type CreateEnvironment = z.input<typeof createEnvironmentBody>;
export type UpdateEnvironment = z.input<typeof updateEnvironmentBody>;
export type RegisterTemplate = z.input<typeof registerTemplateBody>;
export type RetryRun = z.input<typeof retryBody>;
export type CommandRequestBody = z.input<typeof commandBody>;
export interface ListOf<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
