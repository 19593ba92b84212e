import type { z } from "zod";
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
import { serviceRoutes, type healthView, type infoView, type versionView } from "./rest-service.ts";
import {
  templateRoutes,
  type parameterView,
  type registerTemplateBody,
  type templateSummaryView,
  type templateView,
} from "./rest-template.ts";
import type { changeView, failureView, graphView } from "./schemas.ts";

/** Every operation of the REST API, once. Routes, the OpenAPI document and clients come from it. */
export const routes = [
  ...environmentRoutes,
  ...templateRoutes,
  ...runRoutes,
  ...planRoutes,
  ...resourceRoutes,
  ...commandRoutes,
  ...eventRoutes,
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
      ? z.output<S>
      : never
    : never;

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
export type EnvironmentView = z.infer<typeof environmentView>;
export type DriftView = z.infer<typeof driftView>;
export type CheckView = z.infer<typeof checkView>;
export type RunView = z.infer<typeof runView>;
export type StepView = z.infer<typeof stepView>;
export type LogLineView = z.infer<typeof logLineView>;
export type TemplateSummaryView = z.infer<typeof templateSummaryView>;
export type TemplateView = z.infer<typeof templateView>;
export type ParameterView = z.infer<typeof parameterView>;
export type CommandView = z.infer<typeof commandView>;
export type ResourceView = z.infer<typeof resourceView>;
export type ObservedView = z.infer<typeof observedView>;
export type EventView = z.infer<typeof eventView>;
export type PlanView = z.infer<typeof planView>;
export type PlanSummaryView = z.infer<typeof planSummaryView>;
export type GraphView = z.infer<typeof graphView>;
export type ChangeView = z.infer<typeof changeView>;
export type FailureView = z.infer<typeof failureView>;
export type HealthView = z.infer<typeof healthView>;
export type VersionView = z.infer<typeof versionView>;
export type InfoView = z.infer<typeof infoView>;
export type CreateEnvironment = z.input<typeof createEnvironmentBody>;
export type UpdateEnvironment = z.input<typeof updateEnvironmentBody>;
export type RegisterTemplate = z.input<typeof registerTemplateBody>;
export type RetryRun = z.input<typeof retryBody>;
export type CommandRequestBody = z.input<typeof commandBody>;
export interface ListOf<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
