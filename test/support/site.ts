import { setTimeout as pause } from "node:timers/promises";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { readDirectory } from "../../src/adapters/sources/directory/index.ts";
import { problemView } from "../../src/contract/problem.ts";
import { commandView } from "../../src/contract/rest-command.ts";
import { driftView, environmentView } from "../../src/contract/rest-environment.ts";
import { eventView } from "../../src/contract/rest-event.ts";
import { planView } from "../../src/contract/rest-plan.ts";
import { runView, stepView } from "../../src/contract/rest-run.ts";
import {
  TestServer,
  testDirectory,
  type Answer,
  type Sending,
  type ServerOptions,
} from "./server.ts";
import { Outside, writeTemplate, type TemplateFacts } from "./outside.ts";

export type CommandView = z.output<typeof commandView>;
export type EnvironmentView = z.output<typeof environmentView>;
export type RunView = z.output<typeof runView>;
export type StepView = z.output<typeof stepView>;
export type PlanView = z.output<typeof planView>;

/** A server with a world outside of it, in directories of their own; everything is judged by answers and by that world. */
export class Site {
  readonly directory: string;
  readonly outside: Outside;
  readonly #remove: () => Promise<void>;
  readonly #options: Omit<ServerOptions, "data">;
  #server: TestServer;

  private constructor(of: {
    readonly directory: string;
    readonly remove: () => Promise<void>;
    readonly server: TestServer;
    readonly options: Omit<ServerOptions, "data">;
  }) {
    this.directory = of.directory;
    this.outside = new Outside(join(of.directory, "outside"));
    this.#remove = of.remove;
    this.#server = of.server;
    this.#options = of.options;
  }

  static async open(options: Omit<ServerOptions, "data"> = {}): Promise<Site> {
    const { path, remove } = await testDirectory();
    await mkdir(join(path, "outside"));
    const server = await TestServer.start({ data: join(path, "data"), ...options });
    return new Site({ directory: path, remove, server, options });
  }

  get server(): TestServer {
    return this.#server;
  }

  get data(): string {
    return join(this.directory, "data");
  }

  /** Starts a server on the same data, with other options where they are given. The one before must have ended. */
  async start(options = this.#options): Promise<void> {
    this.#server = await TestServer.start({ data: this.data, ...options });
  }

  async close(): Promise<void> {
    this.#server.kill();
    await this.#server.ended;
    await this.#remove();
  }

  /** One request below `/api/v1`, whatever its answer. */
  async send(method: string, path: string, more: Sending = {}): Promise<Answer> {
    return this.#server.send(method, `/api/v1${path}`, more);
  }

  async get(path: string): Promise<unknown> {
    const answer = await this.send("GET", path);
    if (answer.status !== 200)
      throw new Error(`GET ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** A request that gives a command. */
  async ask(method: string, path: string, more: Sending = {}): Promise<CommandView> {
    const answer = await this.send(method, path, more);
    if (answer.status !== 202)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return commandView.parse(answer.body);
  }

  /** A request that must be refused. */
  async refused(
    method: string,
    path: string,
    more: Sending = {},
  ): Promise<z.output<typeof problemView>> {
    const answer = await this.send(method, path, more);
    if (answer.status < 400)
      throw new Error(`${method} ${path} was not refused: ${JSON.stringify(answer.body)}`);
    return problemView.parse(answer.body);
  }

  command(type: string, subject: string, data: unknown = {}): Promise<CommandView> {
    return this.ask("POST", "/commands", { body: { type, subject, data } });
  }

  /** Writes a template, packs and registers it. */
  async register(facts: TemplateFacts, draft = false): Promise<CommandView> {
    return this.ask("POST", `/templates${draft ? "?draft" : ""}`, {
      body: await this.archive(facts),
    });
  }

  async archive(facts: TemplateFacts): Promise<Uint8Array> {
    const folder = join(this.directory, "templates", facts.name, facts.version ?? "1.0.0");
    await writeTemplate(folder, this.outside, facts);
    const { files } = await readDirectory(folder);
    return pack(files);
  }

  /** The run of a command, when it has ended or waits for somebody. */
  async settled(command: CommandView, limitMs = 60_000): Promise<RunView> {
    return this.runWhen(
      command,
      ({ status }) => status !== "queued" && status !== "running",
      limitMs,
    );
  }

  /** Creates an environment and waits for the end of its run. */
  async create(name: string, template: string, more: object = {}): Promise<RunView> {
    return this.settled(
      await this.ask("POST", "/environments", { body: { name, template, ...more } }),
    );
  }

  async update(name: string, body: object): Promise<RunView> {
    return this.settled(await this.ask("PATCH", `/environments/${name}`, { body }));
  }

  async destroy(name: string, query = ""): Promise<RunView> {
    return this.settled(await this.ask("DELETE", `/environments/${name}${query}`));
  }

  /** Makes a plan and gives it when it is ready (or could not be made). */
  async plan(name: string, data: object = {}): Promise<PlanView> {
    const command = await this.command("environment.plan", name, data);
    await this.settled(command);
    return planView.parse(await this.get(`/plans/${command.plan}`));
  }

  async commandNow(command: CommandView): Promise<CommandView> {
    return commandView.parse(await this.get(`/commands/${command.id}`));
  }

  async environment(name: string): Promise<EnvironmentView> {
    return environmentView.parse(await this.get(`/environments/${name}`));
  }

  async run(id: string | null): Promise<RunView> {
    return runView.parse(await this.get(`/runs/${id}`));
  }

  async steps(run: { readonly id: string }): Promise<readonly StepView[]> {
    const list = z.object({ items: z.array(stepView) });
    return list.parse(await this.get(`/runs/${run.id}/steps?limit=500`)).items;
  }

  async step(run: { readonly id: string }, key: string): Promise<StepView> {
    const steps = await this.steps(run);
    const found = steps.find((step) => step.key === key);
    if (found === undefined)
      throw new Error(`no step ${key}, but ${steps.map((step) => step.key).join(", ")}`);
    return found;
  }

  async log(step: StepView): Promise<string> {
    return z.string().parse(await this.get(`/steps/${step.id}/log`));
  }

  async drift(name: string): Promise<z.output<typeof driftView>> {
    await this.settled(await this.command("environment.refresh", name));
    return driftView.parse(await this.get(`/environments/${name}/drift`));
  }

  async events(name: string): Promise<readonly z.output<typeof eventView>[]> {
    const list = z.object({ items: z.array(eventView) });
    return list.parse(await this.get(`/environments/${name}/events?limit=500&after=0`)).items;
  }

  async runWhen(
    of: CommandView | RunView,
    condition: (run: RunView) => boolean,
    limitMs = 60_000,
  ): Promise<RunView> {
    const id = "run" in of ? of.run : of.id;
    return until(() => this.run(id), condition, limitMs);
  }

  /** Waits until a command of the environment has written such a line into the ledger. */
  async begun(environment: string, line: string): Promise<void> {
    await until(
      () => this.outside.ledger(environment),
      (lines) => lines.some((written) => written.startsWith(line)),
    );
  }

  async environmentWhen(
    name: string,
    condition: (environment: EnvironmentView) => boolean,
    limitMs = 60_000,
  ): Promise<EnvironmentView> {
    return until(() => this.environment(name), condition, limitMs);
  }
}

/** Looks until the condition holds; fails with what was seen last. */
export async function until<T>(
  look: () => Promise<T>,
  condition: (seen: T) => boolean,
  limitMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (condition(seen)) return seen;
    if (Date.now() > deadline)
      throw new Error(`it has not come to pass in ${limitMs} ms: ${JSON.stringify(seen)}`);
    await pause(40);
  }
}
