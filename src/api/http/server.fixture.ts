import type { FastifyInstance } from "fastify";
import type { Log, LogFields } from "../../ports/telemetry.ts";
import { FakeClock } from "../../testing/fake-clock.ts";
import { FakeMetrics } from "../../testing/fake-metrics.ts";
import { createHttpServer } from "./server.ts";
import { at } from "./nouns.fixture.ts";
import { FakeServices } from "./services.fixture.ts";

export interface Subject {
  readonly metrics: FakeMetrics;
  readonly app: FastifyInstance;
  readonly services: FakeServices;
  readonly clock: FakeClock;
  readonly lines: {
    readonly level: string;
    readonly message: string;
    readonly fields: LogFields;
  }[];
}

/** A server over services in memory. */
export function testServer(roles: readonly string[] = ["api", "worker"]): Subject {
  const services = new FakeServices();
  const clock = new FakeClock();
  const lines: Subject["lines"] = [];
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields });
    };
  const log: Log = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
  const metrics = new FakeMetrics();
  const app = createHttpServer({
    services,
    store: services,
    clock,
    log,
    metrics,
    allowedHosts: ["glasshouse.example.com"],
    service: {
      version: "0.1.0",
      commit: null,
      roles,
      store: "sqlite",
      bus: "embedded",
      executors: ["command"],
      epoch: 1,
      startedAt: at,
      listen: "127.0.0.1:8080",
      schemas: { template: async () => ({ title: "Glasshouse template" }) },
      readiness: async () => ({ status: "ready", detail: "" }),
      metricsText: async () => "# all that was counted\n",
      health: async () => ({
        status: "ok",
        live: true,
        ready: true,
        dependencies: [
          { name: "store", status: "up", detail: "", latencyMs: 1, advice: null, breaker: null },
        ],
      }),
    },
  });
  return { app, services, clock, lines, metrics };
}
