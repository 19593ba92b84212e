import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BusClient } from "./bus-client.ts";
import { registerLoad } from "./bus-load.ts";
import { TestPostgres } from "./postgres.ts";
import { Rabbitmq } from "./rabbitmq.ts";
import { newKeyFile } from "./which-store.ts";
import { Site, until } from "./site.ts";
import { Vault } from "./vault.ts";
import { leaseDatabase, leaseRabbitmq, userStatements } from "./vault-engines.ts";
import { blocksOf } from "./walkthrough.ts";

const adminPassword = "admin";
const templates = 20;
const answerLimitMs = 300_000;

/** The rules of docs/vault.md: those that are always needed, and the blocks of these names. */
export function documentedPolicy(...names: readonly string[]): string {
  const page = readFileSync(join(import.meta.dirname, "../../docs/vault.md"), "utf8");
  const wanted = ["hcl", ...names.map((name) => `hcl ${name}`)];
  const found = blocksOf(page).filter(({ info }) => wanted.includes(info));
  const missing = wanted.filter((one) => found.every(({ info }) => info !== one));
  if (missing.length > 0) throw new Error(`docs/vault.md lacks ${missing.join(", ")}`);
  return found.map(({ text }) => text).join("\n");
}

type RotationParts = Pick<
  RotationSite,
  "vault" | "postgres" | "broker" | "site" | "client" | "env"
>;

/**
 * A server whose users in PostgreSQL and at RabbitMQ are made by a Vault, whose policy is the documented one, each for `lease` at most;
 * a client that orders over the bus.
 */
export class RotationSite {
  readonly vault: Vault;
  readonly postgres: TestPostgres;
  readonly broker: Rabbitmq;
  readonly site: Site;
  readonly client: BusClient;
  /** Variables of the server. */
  readonly env: Readonly<Record<string, string>>;
  #loads = 0;

  private constructor(of: RotationParts) {
    this.env = of.env;
    this.vault = of.vault;
    this.postgres = of.postgres;
    this.broker = of.broker;
    this.site = of.site;
    this.client = of.client;
  }

  static async open(lease: string): Promise<RotationSite> {
    const [vault, postgres, broker] = await Promise.all([
      Vault.start(),
      TestPostgres.start({ password: adminPassword }),
      Rabbitmq.start({ management: true }),
    ]);
    try {
      const times = { ttl: lease, maxTtl: lease };
      await postgres.query("create role owner nologin");
      await postgres.query("create database environments owner owner");
      const create = userStatements.create.replace("IN ROLE glasshouse", "IN ROLE owner");
      await leaseDatabase(vault, { ...times, postgres, adminPassword, create });
      await leaseRabbitmq(vault, { ...times, broker });
      await vault.policy("glasshouse", documentedPolicy("users"));
      const env = {
        GLASSHOUSE_TELEMETRY_LEVEL: "info",
        GLASSHOUSE_VAULT_ADDRESS: vault.url,
        GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
        TOKEN_OF_VAULT: await vault.token(["glasshouse"], { no_default_policy: true, ttl: "1h" }),
        GLASSHOUSE_STORE_URL: `postgres://owner@127.0.0.1:${postgres.port}/environments`,
        GLASSHOUSE_STORE_CREDENTIALS: "vault:database/creds/glasshouse",
        GLASSHOUSE_SECURITY_KEY: await newKeyFile(vault.directory),
        GLASSHOUSE_BUS_URL: `amqp://127.0.0.1:${broker.portOf(0)}`,
        GLASSHOUSE_BUS_CREDENTIALS: "vault:rabbitmq/creds/glasshouse",
      };
      const site = await Site.open({ env });
      const client = new BusClient(broker.urls);
      // Answers only: the events are many, and another test's affair.
      await client.listen("none");
      return new RotationSite({ vault, postgres, broker, site, client, env });
    } catch (error) {
      await Promise.all([vault.close(), postgres.remove(), broker.close()]);
      throw error;
    }
  }

  /** How often each has gone over to another user. */
  get rotations(): { readonly store: number; readonly bus: number } {
    const { output } = this.site.server;
    return {
      store: output.split("The store goes on with new credentials").length - 1,
      bus: output.split("The bus goes on with new credentials").length - 1,
    };
  }

  /** Waits until both have gone over so often, from the start. */
  async rotated(times: number, limitMs: number): Promise<void> {
    await until(
      async () => this.rotations,
      ({ store, bus }) => Math.min(store, bus) >= times,
      limitMs,
    );
  }

  /**
   * Orders `perSecond` commands a second over the bus until `done`, and reads a tenth as often by REST; gives what did not complete.
   * A store that could not be used for a moment is hidden by the bus, where a command waits, and seen by REST.
   */
  async load(
    perSecond: number,
    done: Promise<unknown>,
  ): Promise<{ readonly sent: number; readonly failed: readonly string[] }> {
    await this.#prepare();
    // A command with the id of an earlier one would get the answer of that one.
    this.#loads += 1;
    const load = `load-${this.#loads}`;
    const going = { on: true };
    void done.finally(() => (going.on = false)).catch(() => undefined);
    const sent: Promise<string>[] = [];
    const failed: string[] = [];
    const begunAtMs = performance.now();
    for (let n = 0; going.on; n += 1) {
      // Each template is taken out of use and put back in turn; once a second an environment is made, which takes steps.
      const type = n % (2 * templates) < templates ? "deprecate" : "activate";
      const order =
        n % perSecond === 0
          ? { type: "environment.create", data: { name: `${load}-${n}`, template: "load" } }
          : { type: `template.${type}`, subject: `held${n % templates}@1.0.0` };
      sent.push(this.client.send({ id: `${load}-${n}`, ...order }));
      if (n % 10 === 0) void this.#read(failed);
      await sleep(Math.max(0, begunAtMs + ((n + 1) * 1_000) / perSecond - performance.now()));
    }
    const ids = await Promise.all(sent);
    failed.push(...(await this.#failed(ids)));
    return { sent: ids.length, failed };
  }

  /** Those of the commands that did not complete, or had no end five minutes after the last was sent, with what was said of them. */
  async #failed(ids: readonly string[]): Promise<readonly string[]> {
    const deadline = Date.now() + answerLimitMs;
    for (;;) {
      const said = new Map(this.client.replies.map(({ type, data }) => [data.sourceId, type]));
      const open = ids.filter((id) => [undefined, "command.accepted"].includes(said.get(id)));
      if (open.length > 0 && Date.now() < deadline) await sleep(200);
      else
        return ids
          .filter((id) => said.get(id) !== "command.completed")
          .map((id) => `${id}: ${said.get(id) ?? "no answer"}`);
    }
  }

  async #prepare(): Promise<void> {
    await registerLoad(this.site);
    for (let at = 0; at < templates; at += 1)
      await this.site.register({ name: `held${at}`, groups: { web: "1" } });
  }

  async #read(failed: string[]): Promise<void> {
    const answer = await this.site.send("GET", "/environments?limit=1").catch(String);
    if (typeof answer === "string") failed.push(answer);
    else if (answer.status !== 200) failed.push(JSON.stringify(answer.body));
  }

  async close(): Promise<void> {
    await this.site.close();
    this.client.connection.unsafeDestroy();
    await Promise.all([this.vault.close(), this.postgres.remove(), this.broker.close()]);
  }
}
