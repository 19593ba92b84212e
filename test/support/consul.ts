import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { consulProgram } from "./consul-program.ts";
import { Guard } from "./guard.ts";
import { freePorts } from "./ports.ts";
import { testDirectory } from "./server.ts";

export interface ConsulOptions {
  /** Names of datacenters, joined over WAN; the first is the primary. One, `dc1`, when left out. */
  readonly datacenters?: readonly string[];
  /** Servers of each datacenter; 1 when left out. */
  readonly servers?: number;
  /** HTTPS beside HTTP, with certificates of the test's own. */
  readonly tls?: boolean;
  /** Its service mesh, with an authority of its own. */
  readonly mesh?: boolean;
}

interface Agent {
  readonly name: string;
  readonly datacenter: string;
  readonly ports: {
    readonly http: number;
    readonly https: number;
    readonly serfLan: number;
    readonly serfWan: number;
    readonly server: number;
  };
  child: ChildProcess | null;
}

const readyLimitMs = 60_000;
const portsOfAgent = 5;

/**
 * Private Consul servers on random ports of loopback, in a temporary directory, with ACLs that deny by default. `close` ends and
 * removes them; so does the end of the test's process.
 */
export class Consul {
  /** May do everything. */
  readonly token = randomUUID();
  readonly certificates: Certificates | null;
  readonly directory: string;
  readonly #remove: () => Promise<void>;
  readonly #guard: Guard;
  readonly #agents: readonly Agent[];

  private constructor(of: {
    readonly directory: Awaited<ReturnType<typeof testDirectory>>;
    readonly certificates: Certificates | null;
    readonly agents: readonly Agent[];
  }) {
    this.directory = of.directory.path;
    this.certificates = of.certificates;
    this.#remove = of.directory.remove;
    this.#guard = new Guard(of.directory.path);
    this.#agents = of.agents;
  }

  /** Resolves when every datacenter has a leader and keys can be written to each. */
  static async start(options: ConsulOptions = {}): Promise<Consul> {
    const directory = await testDirectory();
    const names = options.datacenters ?? ["dc1"];
    const count = options.servers ?? 1;
    const ports = await freePorts(names.length * count * portsOfAgent);
    const agents = names.flatMap((datacenter, first) =>
      Array.from({ length: count }, (_, at) => {
        const from = (first * count + at) * portsOfAgent;
        const [http = 0, https = 0, serfLan = 0, serfWan = 0, server = 0] = ports.slice(from);
        const all = { http, https, serfLan, serfWan, server };
        return { name: `${datacenter}-${at}`, datacenter, ports: all, child: null };
      }),
    );
    const certificates =
      options.tls === true ? await makeCertificates(join(directory.path, "tls")) : null;
    const consul = new Consul({ directory, certificates, agents });
    try {
      await consul.#configure(names[0] ?? "dc1", count, options.mesh ?? false);
      for (const at of agents.keys()) consul.run(at);
      for (const [at, { datacenter }] of agents.entries()) await consul.ready(at, datacenter);
      for (const datacenter of names.slice(1)) await consul.ready(0, datacenter);
      return consul;
    } catch (error) {
      await consul.close();
      throw error;
    }
  }

  /** Address of a server, of the first one when left out. */
  url(at = 0): string {
    return `http://127.0.0.1:${this.#agent(at).ports.http}`;
  }

  /** Only with the option `tls`. */
  tlsUrl(at = 0): string {
    return `https://localhost:${this.#agent(at).ports.https}`;
  }

  port(at = 0): number {
    return this.#agent(at).ports.http;
  }

  /** Starts a server that was stopped or killed, with what it had. Does not wait. */
  run(at = 0): void {
    const program = consulProgram();
    if (program === null) throw new Error("consul is missing: run npm run tools -- consul");
    const agent = this.#agent(at);
    const args = ["agent", "-config-file", join(this.directory, `${agent.name}.json`)];
    const child = this.#guard.spawn(program, args, { PATH: process.env["PATH"], HOME: "/" });
    agent.child = child;
    // A pipe that nobody reads would stop it.
    child.stdout?.resume();
    child.stderr?.resume();
  }

  /** Runs Consul's own program for the first server until the test ends: a proxy of the mesh. */
  program(...args: readonly string[]): void {
    const program = consulProgram();
    if (program === null) throw new Error("consul is missing: run npm run tools -- consul");
    const env = {
      PATH: process.env["PATH"],
      HOME: "/",
      CONSUL_HTTP_ADDR: this.url(),
      CONSUL_HTTP_TOKEN: this.token,
    };
    const child = this.#guard.spawn(program, args, env);
    child.stdout?.resume();
    child.stderr?.resume();
  }

  /** Waits until a key of the datacenter can be read and written through this server. */
  async ready(at = 0, datacenter = this.#agent(at).datacenter): Promise<void> {
    const deadline = Date.now() + readyLimitMs;
    const key = `/v1/kv/ready/${at}?dc=${datacenter}`;
    for (;;) {
      const failure = await this.request("PUT", key, { at, body: "yes" }).then(
        () => null,
        (error: unknown) => String(error),
      );
      if (failure === null) break;
      const { exitCode } = this.#agent(at).child ?? { exitCode: 0 };
      if (Date.now() > deadline || exitCode !== null)
        throw new Error(`${this.#agent(at).name} did not become ready: ${failure}`);
      await sleep(50);
    }
    await this.request("DELETE", key, { at });
  }

  /** Ends a server as a power cut does. */
  async kill(at = 0): Promise<void> {
    const { child } = this.#agent(at);
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    child.kill("SIGKILL");
    await ended;
  }

  /** The server stands still, with its connections open, until `resume`. */
  pause(at = 0): void {
    this.#agent(at).child?.kill("SIGSTOP");
  }

  resume(at = 0): void {
    this.#agent(at).child?.kill("SIGCONT");
  }

  /** Index of the server that leads the first datacenter. */
  async leader(): Promise<number> {
    const address = z.string().parse(JSON.parse(await this.request("GET", "/v1/status/leader")));
    return this.#agents.findIndex(({ ports }) => address.endsWith(`:${ports.server}`));
  }

  /** One request with the token that may do everything, unless another is given. Rejects with the answer from 400 on. */
  async request(
    method: string,
    path: string,
    more: { readonly at?: number; readonly body?: unknown; readonly token?: string } = {},
  ): Promise<string> {
    const { at = 0, body, token = this.token } = more;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(`${this.url(at)}${path}`, {
      method,
      headers: { "x-consul-token": token },
      signal: AbortSignal.timeout(10_000),
      ...(body === undefined ? {} : { body: text }),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return answer;
  }

  /** A token with exactly these rules, known in every datacenter. */
  async newToken(rules: string): Promise<string> {
    const policy = `test-${randomUUID()}`;
    await this.request("PUT", "/v1/acl/policy", { body: { Name: policy, Rules: rules } });
    const made = await this.request("PUT", "/v1/acl/token", {
      body: { Policies: [{ Name: policy }] },
    });
    const token = z.object({ SecretID: z.string() }).parse(JSON.parse(made)).SecretID;
    for (const at of this.#agents.keys()) await this.#knows(at, token);
    return token;
  }

  /** Keys below a prefix with their values, as text. */
  async keys(prefix: string, datacenter = "dc1"): Promise<Readonly<Record<string, string>>> {
    const path = `/v1/kv/${encoded(prefix)}?recurse&dc=${datacenter}`;
    const answer = await this.request("GET", path).catch((error: unknown) => {
      if (String(error).includes(": 404 ")) return "[]";
      throw error;
    });
    const entries = z
      .array(z.object({ Key: z.string(), Value: z.string().nullable() }))
      .parse(JSON.parse(answer));
    return Object.fromEntries(
      entries.map(({ Key, Value }) => [Key, Buffer.from(Value ?? "", "base64").toString("utf8")]),
    );
  }

  /** Writes a key as an operator would: over what is there, without a mark. */
  async put(key: string, value: string, datacenter = "dc1"): Promise<void> {
    await this.request("PUT", `/v1/kv/${encoded(key)}?dc=${datacenter}`, { body: value });
  }

  async remove(key: string, datacenter = "dc1"): Promise<void> {
    await this.request("DELETE", `/v1/kv/${encoded(key)}?dc=${datacenter}`);
  }

  async close(): Promise<void> {
    for (const at of this.#agents.keys()) await this.kill(at);
    await this.#guard.close();
    await this.#remove();
  }

  /** Tokens come to other servers and datacenters a moment later. */
  async #knows(at: number, token: string): Promise<void> {
    const deadline = Date.now() + readyLimitMs;
    for (;;) {
      const known = await this.request("GET", "/v1/acl/token/self", { at, token }).then(
        () => true,
        () => false,
      );
      if (known) return;
      if (Date.now() > deadline) throw new Error(`server ${at} does not know the new token`);
      await sleep(50);
    }
  }

  async #configure(primary: string, count: number, mesh: boolean): Promise<void> {
    const wan = this.#agents.map(({ ports }) => `127.0.0.1:${ports.serfWan}`);
    for (const agent of this.#agents) {
      const { ports, datacenter, name } = agent;
      const peers = this.#agents
        .filter((other) => other.datacenter === datacenter)
        .map((other) => `127.0.0.1:${other.ports.serfLan}`);
      const configuration = {
        server: true,
        bootstrap_expect: count,
        datacenter,
        primary_datacenter: primary,
        node_name: name,
        data_dir: join(this.directory, name),
        bind_addr: "127.0.0.1",
        client_addr: "127.0.0.1",
        ports: {
          http: ports.http,
          https: this.certificates === null ? -1 : ports.https,
          dns: -1,
          grpc: -1,
          grpc_tls: -1,
          serf_lan: ports.serfLan,
          serf_wan: ports.serfWan,
          server: ports.server,
        },
        retry_join: peers,
        retry_join_wan: wan,
        retry_interval: "1s",
        retry_interval_wan: "1s",
        log_level: "warn",
        disable_update_check: true,
        connect: { enabled: mesh },
        performance: { raft_multiplier: 1 },
        acl: {
          enabled: true,
          default_policy: "deny",
          enable_token_replication: true,
          tokens: {
            agent: this.token,
            replication: this.token,
            ...(datacenter === primary ? { initial_management: this.token } : {}),
          },
        },
        ...(this.certificates === null
          ? {}
          : {
              tls: {
                https: {
                  ca_file: this.certificates.authority,
                  cert_file: this.certificates.server.certificate,
                  key_file: this.certificates.server.key,
                },
              },
            }),
      };
      await writeFile(join(this.directory, `${name}.json`), JSON.stringify(configuration));
    }
  }

  #agent(at: number): Agent {
    const agent = this.#agents[at];
    if (agent === undefined) throw new Error(`there is no Consul server ${at}`);
    return agent;
  }
}

/** Slashes stay: they are part of a key's path. */
function encoded(key: string): string {
  return encodeURIComponent(key).replaceAll("%2F", "/");
}
