import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { BusClient } from "../test/support/bus-client.ts";
import { consulSite } from "../test/support/consul-site.ts";
import { Consul } from "../test/support/consul.ts";
import { metricOf } from "../test/support/metrics.ts";
import { Rabbitmq } from "../test/support/rabbitmq.ts";
import { until, type Site } from "../test/support/site.ts";
import { median, type Row } from "./measure.ts";

const services = 40;
/** Of each service: it fails, recovers, and fails again. Less than what damping holds back. */
const rounds = ["fail", "pass", "fail"] as const;
const policy = 'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }';

/** What somebody has heard of an environment, newest last. */
type Heard = (environment: string) => Promise<{ readonly status: string } | null>;

/**
 * From a change of a check in a real Consul to the event of the environment, where it is heard: on the live events of the server, and
 * in a queue of RabbitMQ. Each change alone, one after the other; the time of telling Consul is counted in.
 */
export async function healthChanges(): Promise<readonly Row[]> {
  const consul = await Consul.start();
  try {
    const token = await consul.newToken(policy);
    for (let at = 0; at < services; at += 1) await register(consul, at);
    return [await overLiveEvents(consul, token), ...(await overRabbit(consul, token))];
  } finally {
    await consul.close();
  }
}

async function overLiveEvents(consul: Consul, token: string): Promise<Row> {
  const site = await consulSite(consul, token);
  const end = new AbortController();
  try {
    const heard = new Map<string, { readonly status: string }>();
    void listen(site, heard, end.signal);
    const took = await measure(consul, site, async (name) => heard.get(name) ?? null);
    return row("live events", took);
  } finally {
    end.abort();
    await site.close();
  }
}

async function overRabbit(consul: Consul, token: string): Promise<readonly Row[]> {
  const broker = await Rabbitmq.start();
  const client = new BusClient(broker.url);
  const site = await consulSite(consul, token, { env: { GLASSHOUSE_BUS_URL: broker.url } });
  try {
    await client.listen("environment.#");
    let read = 0;
    const heard = new Map<string, { readonly status: string }>();
    const took = await measure(consul, site, async (name) => {
      for (; read < client.events.length; read += 1) hear(heard, client.events[read]);
      return heard.get(name) ?? null;
    });
    return [row("RabbitMQ", took)];
  } finally {
    await site.close();
    await client.close();
    await broker.close();
  }
}

async function measure(consul: Consul, site: Site, heard: Heard): Promise<readonly number[]> {
  for (let at = 0; at < services; at += 1) await tell(consul, at, "pass");
  const names = Array.from({ length: services }, (_, at) => `e${at}`);
  const checks = { up: { consul: { service: "s${{ environment.name }}" }, within: "30s" } };
  await site.register({ name: "watched", groups: { a: "x" }, more: { checks } });
  await Promise.all(names.map((name) => site.create(name, "watched")));
  await until(
    () => metricOf(site.server, "glasshouse_checks_followed", { kind: "consul" }),
    (count) => count === services,
  );
  // The blocking queries wait by then.
  await sleep(500);
  const took: number[] = [];
  for (const how of rounds)
    for (const [at, name] of names.entries()) {
      const begun = performance.now();
      await tell(consul, at, how);
      const wanted = how === "fail" ? "deployed-failed" : "deployed-ok";
      while ((await heard(name))?.status !== wanted) await sleep(1);
      took.push(performance.now() - begun);
    }
  return took;
}

function row(where: string, took: readonly number[]): Row {
  const sorted = took.toSorted((a, b) => a - b);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
  const p50 = median(sorted).toFixed(0);
  return {
    name: `a change in Consul to its event in ${where} (${took.length}; p50 ${p50} ms)`,
    value: p99,
    unit: "ms p99",
    target: "≤ 1,000",
    ok: p99 <= 1_000,
  };
}

async function register(consul: Consul, at: number): Promise<void> {
  const name = `se${at}`;
  const check = { CheckID: `check-${name}`, Name: "state", TTL: "60m", Status: "passing" };
  const body = { Name: name, ID: name, Check: check };
  await consul.request("PUT", "/v1/agent/service/register", { body });
}

async function tell(consul: Consul, at: number, how: "pass" | "fail"): Promise<void> {
  await consul.request("PUT", `/v1/agent/check/${how}/check-se${at}`);
}

const environmentEvent = z.object({ name: z.string(), status: z.string() });

function hear(heard: Map<string, { readonly status: string }>, event: unknown): void {
  const found = z.object({ data: environmentEvent }).safeParse(event);
  if (found.success) heard.set(found.data.data.name, found.data.data);
}

/** Until the signal aborts. */
async function listen(
  site: Site,
  heard: Map<string, { readonly status: string }>,
  signal: AbortSignal,
): Promise<void> {
  const headers = { accept: "text/event-stream" };
  const response = await fetch(`${site.server.url}/api/v1/events`, { headers, signal });
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const data = /^data: (.*)$/mu.exec(frame)?.[1];
        if (data !== undefined) hear(heard, JSON.parse(data));
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
