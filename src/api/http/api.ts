import type { SecureContextOptions } from "node:tls";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { JsonObject } from "../../lib/json.ts";
import type {
  BodyOf,
  HealthView,
  ParamsOf,
  QueryOf,
  ReplyOf,
  RouteId,
  RouteTable,
} from "../../contract/rest.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Store } from "../../ports/store.ts";
import type { Log, Metrics } from "../../ports/telemetry.ts";
import type { LiveEvents } from "./live-events.ts";
import type { ApiServices } from "./services.ts";

/** What the HTTP server is given by the composition root. */
export interface HttpOptions {
  readonly services: ApiServices;
  readonly store: Pick<Store, "watch">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Names beside loopback that `Host` may have, without port: `glasshouse.example.com`. */
  readonly allowedHosts: readonly string[];
  readonly service: ServiceFacts;
  /** Absent: it speaks HTTP in clear. */
  readonly tls?: ServedTls;
}

/** The TLS that is spoken; what it is made of changes while the server runs. */
export interface ServedTls {
  /** Whether whoever asks for more than a probe must show a certificate of the authorities in the context. */
  readonly demandsClients: boolean;
  /** As it is now. */
  context(): SecureContextOptions;
  /** Calls `fn` when it is another one. The returned function ends it. */
  watch(fn: () => void): () => void;
}

/** What the server says of itself. */
export interface ServiceFacts {
  readonly version: string;
  readonly commit: string | null;
  readonly roles: readonly string[];
  readonly store: string;
  readonly bus: string;
  readonly executors: readonly string[];
  readonly epoch: number;
  readonly startedAt: string;
  readonly listen: string;
  /** JSON Schemas by name: `template` with the executors' settings. Called once each. */
  readonly schemas: Readonly<Record<string, () => Promise<JsonObject>>>;
  /** Whether it takes requests. Cheap. */
  readonly readiness: () => Promise<ReplyOf<"getReadiness">>;
  /** Each dependency with latency and advice; never throws. */
  readonly health: () => Promise<HealthView>;
  /** All metrics in Prometheus' text format. */
  readonly metricsText: () => Promise<string>;
}

/** What handlers share. */
export interface Api extends HttpOptions {
  readonly live: LiveEvents;
  /** Aborted when the server stops: what streams ends. */
  readonly stopping: AbortSignal;
}

/** A request after its parts were parsed by the route's schemas. */
export interface Call<Id extends RouteId> extends AnyCall {
  readonly id: Id;
  readonly params: ParamsOf<Id>;
  readonly query: QueryOf<Id>;
  readonly body: BodyOf<Id>;
}

export interface AnyCall {
  readonly id: RouteId;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Gives the body of the success, or the reply when it has answered by itself. */
export type Handler<Id extends RouteId> = (call: Call<Id>) => Promise<ReplyOf<Id> | FastifyReply>;

type LaterId = Extract<RouteTable, { readonly notAvailable: true }>["id"];
export type ServedId = Exclude<RouteId, LaterId>;

/** One handler for every operation of the table that this version has. */
export type Handlers = { readonly [Id in ServedId]: Handler<Id> };
