import { randomUUID } from "node:crypto";
import { canonicalJson, toJson } from "../../lib/json.ts";
import { sampleSecret } from "../../testing/samples.ts";
import type { RedriveRequest } from "../../ports/bus.ts";
import type { Command, CommandType } from "../../domain/command.ts";
import { commandTypes, laterCommandTypes } from "../../domain/command.ts";
import { GlasshouseError } from "../../domain/errors.ts";
import type { JournalEvent } from "../../domain/event.ts";
import type { StepStatus } from "../../domain/step.ts";
import { parseCommand } from "../../contract/commands.ts";
import type { Page, PageRequest } from "../../ports/page.ts";
import type { FoundThing } from "../../ports/search.ts";
import type { Topic } from "../../ports/store.ts";
import type { LogLine } from "../../ports/work.ts";
import type { CommandRequest } from "../../services/effect.ts";
import { at, environment, plan, resource, run, step, template, worker } from "./nouns.fixture.ts";
import type { ApiServices } from "./services.ts";

/** Services in memory with one environment of each kind of thing, so that the way in can be tested by itself. */
export class FakeServices implements ApiServices {
  readonly requests: CommandRequest[] = [];
  readonly events: JournalEvent[] = [];
  readonly log: LogLine[] = [];
  stepStatus: StepStatus = "running";
  failure: Error | null = null;
  oldest = 1;
  /** Dead letters of the bus. */
  dead = 0;
  readonly #commands = new Map<string, { readonly command: Command; readonly body: string }>();
  readonly #watchers = new Map<Topic, Set<() => void>>();

  readonly watch = (topic: Topic, fn: () => void): (() => void) => {
    const watchers = this.#watchers.get(topic) ?? new Set();
    this.#watchers.set(topic, watchers.add(fn));
    return () => watchers.delete(fn);
  };

  watchers(topic: Topic): number {
    return this.#watchers.get(topic)?.size ?? 0;
  }

  touch(topic: Topic): void {
    for (const fn of this.#watchers.get(topic) ?? []) fn();
  }

  /** Adds events to the journal and wakes those who watch it. */
  append(count: number, of: Partial<JournalEvent> = {}): void {
    for (let n = 0; n < count; n += 1) {
      const position = this.events.length + 1;
      this.events.push({
        id: `evt_${position}`,
        position,
        type: "run.progressed",
        environmentId: environment.id,
        sequence: position,
        subject: "environments/shop",
        data: { position },
        commandId: null,
        runId: run.id,
        stepId: null,
        time: at,
        ...of,
      });
    }
    this.touch("journal");
  }

  say(text: string): void {
    this.log.push({ number: this.log.length + 1, token: 1, time: at, text });
    this.touch("logs");
  }

  async accept(request: CommandRequest): Promise<Command> {
    if (this.failure !== null) throw this.failure;
    const { type } = parseCommand(request.type, request.data);
    if (laterCommandTypes.includes(type))
      throw new GlasshouseError("not-available", `${type} is not available in this version.`);
    const key = `${request.source} ${request.id}`;
    const { archive, traceparent: _, ...asked } = request;
    const body = canonicalJson(toJson({ ...asked, archive: archive?.length ?? null }));
    const known = this.#commands.get(key);
    if (known !== undefined && known.body === body) return known.command;
    if (known !== undefined)
      throw new GlasshouseError("command-reused", `The id ${request.id} was used before.`);
    this.requests.push(request);
    const command = commandOf(request, type);
    this.#commands.set(key, { command, body });
    return command;
  }

  async getCommand(id: string): Promise<Command> {
    const found = [...this.#commands.values()].find(({ command }) => command.id === id);
    return found?.command ?? unknown("command", id);
  }

  async getEnvironment(idOrName: string) {
    if (this.failure !== null) throw this.failure;
    if (idOrName !== environment.id && idOrName !== environment.name)
      return unknown("environment", idOrName);
    const token = { $secret: "sec_1", fingerprint: "f" };
    const secrets = [sampleSecret({ name: "password", template: "web" })];
    return { environment, parameters: { nodes: 3, token }, secrets };
  }

  async listEnvironments() {
    return { items: [await this.getEnvironment("shop")], next: null };
  }

  async listEnvironmentResources(idOrName: string) {
    await this.getEnvironment(idOrName);
    const observed = { address: "a.b", type: "file", externalId: null, attributes: { path: "/x" } };
    const place = { environmentId: environment.id, template: "web", group: "network" };
    return {
      environment,
      resources: [resource],
      states: new Map(),
      observed: [{ ...observed, ...place, observedAt: at }],
    };
  }

  async getEnvironmentGraph(idOrName: string) {
    await this.getEnvironment(idOrName);
    const node = {
      id: "network",
      kind: "group" as const,
      name: "network",
      template: "web",
      group: "network",
    };
    return {
      nodes: [{ ...node, executor: "command", status: "succeeded", reason: null, health: null }],
      edges: [{ from: "network", to: "network.vnet", kind: "contains" as const }],
    };
  }

  async listEnvironmentRuns(idOrName: string, page: PageRequest) {
    await this.getEnvironment(idOrName);
    return pageOf([await this.getRun(run.id)], page);
  }

  async listEnvironmentPlans(idOrName: string, page: PageRequest) {
    await this.getEnvironment(idOrName);
    return pageOf([await this.getPlan(plan.id)], page);
  }

  async listEnvironmentChecks() {
    const check = {
      environmentId: environment.id,
      key: "shop",
      detail: "HTTP 200",
      target: "http://x/",
    };
    return [{ ...check, status: "passing" as const, checkedAt: at, lost: null }];
  }

  async getEnvironmentDrift(idOrName: string) {
    await this.getEnvironment(idOrName);
    const group = { template: "web", group: "network", executor: "command", changes: [] };
    return { environment, run, groups: [{ ...group, drift: "none" as const }] };
  }

  async listTemplates(page: PageRequest) {
    return pageOf([template], page);
  }

  async listTemplateVersions(nameOrId: string) {
    return nameOrId === template.name ? [template] : unknown("template", nameOrId);
  }

  async getTemplate(nameOrId: string, version: string) {
    if (nameOrId === template.name && version === template.version) return template;
    return unknown("template", `${nameOrId}@${version}`);
  }

  async getCompatibility() {
    return { against: "0.9.0", breaking: ["the output x is gone"], notes: [] };
  }

  async listResources(page: PageRequest) {
    return pageOf([{ resource, environmentName: "shop", health: null }], page);
  }

  async search(query: string, page: PageRequest) {
    const observed = { address: "a.b", type: "file", externalId: null, attributes: { path: "/x" } };
    const place = { environmentId: environment.id, template: "web", group: "network" };
    const environmentName = environment.name;
    const things: readonly FoundThing[] = [
      { kind: "environment", environment },
      { kind: "resource", resource, environmentName },
      { kind: "observed", observed: { ...observed, ...place, observedAt: at }, environmentName },
      { kind: "template", template },
    ];
    const matches = [{ field: "name", excerpt: query }];
    return pageOf(
      things.map((thing) => ({ thing, matches })),
      page,
    );
  }

  async getResource(id: string) {
    const read = { resource, environmentName: "shop", health: null };
    return id === resource.id ? read : unknown("resource", id);
  }

  async getRun(id: string) {
    return id === run.id ? { run, environmentName: "shop", position: null } : unknown("run", id);
  }

  async listSteps(runId: string, page: PageRequest) {
    await this.getRun(runId);
    return pageOf([step], page);
  }

  async getStep(id: string) {
    return id === step.id ? { ...step, status: this.stepStatus } : unknown("step", id);
  }

  async readStepLog(_: string, after: number, limit: number) {
    return this.log.filter((line) => line.number > after).slice(0, limit);
  }

  async listWorkers(): ReturnType<ApiServices["listWorkers"]> {
    return [{ worker, running: 2 }];
  }

  async listAuthorities(): ReturnType<ApiServices["listAuthorities"]> {
    const pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    const [name, subject, sha256] = ["embedded", "CN=authority", "AB:CD"];
    return [{ name, subject, sha256, notAfter: at, certificate: pem, revocations: "" }];
  }

  async getPlan(id: string) {
    return id === plan.id ? { plan, environmentName: "shop" } : unknown("plan", id);
  }

  async listEvents(
    after: number,
    filter: { readonly environmentId?: string; readonly runId?: string; readonly limit: number },
  ) {
    return this.events
      .filter(
        (event) =>
          event.position > after &&
          (filter.environmentId === undefined || event.environmentId === filter.environmentId) &&
          (filter.runId === undefined || event.runId === filter.runId),
      )
      .slice(0, filter.limit);
  }

  async journalEdges() {
    return { head: this.events.length, oldest: this.oldest };
  }

  async getBus() {
    return {
      kind: "embedded",
      status: "up" as const,
      detail: "embedded",
      latencyMs: 0,
      advice: null,
      commands: 0,
      dead: this.dead,
      behind: null,
    };
  }

  async redriveBus({ limit, dryRun }: RedriveRequest) {
    const moved = Math.min(limit, this.dead);
    if (!dryRun) this.dead -= moved;
    return { moved, left: this.dead, reasons: {} };
  }
}

function pageOf<T>(items: readonly T[], page: PageRequest): Page<T> {
  const from = Number(page.cursor ?? 0);
  const next = from + page.limit < items.length ? String(from + page.limit) : null;
  return { items: items.slice(from, from + page.limit), next };
}

function unknown(noun: string, id: string): never {
  throw new GlasshouseError("not-found", `There is no ${noun} ${id}.`);
}

function commandOf(request: CommandRequest, type: CommandType): Command {
  return {
    id: `cmd_${randomUUID()}`,
    source: request.source,
    sourceId: request.id,
    type: commandTypes.find((known) => known === type) ?? type,
    subject: request.subject,
    bodyHmac: "hmac",
    data: null,
    status: "accepted",
    failure: null,
    environmentId: environment.id,
    templateId: null,
    runId: run.id,
    planId: null,
    actor: request.actor,
    correlationId: request.correlationId ?? null,
    traceparent: request.traceparent ?? null,
    sender: request.sender ?? null,
    reply: request.reply ?? null,
    createdAt: at,
    finishedAt: null,
  };
}
