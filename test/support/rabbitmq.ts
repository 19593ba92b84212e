import { execFile, execFileSync, type ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { Guard } from "./guard.ts";
import { freePorts } from "./ports.ts";
import { testDirectory } from "./server.ts";
import { makeCertificates, type Certificates } from "./certificates.ts";

/** False where a broker is installed. In CI it must be. */
export const rabbitmqSkip: string | false =
  scriptsDirectory() !== null || process.env["CI"] === "true" ? false : "no rabbitmq-server";

export interface RabbitmqOptions {
  /** Nodes of one cluster on this machine; 1 when left out. */
  readonly nodes?: number;
  /** A TLS listener beside the plain one; `verify` refuses clients without a certificate of the same authority. */
  readonly tls?: "on" | "verify";
  /** Its management API, on the first node: what makes users for Vault. */
  readonly management?: boolean;
  /** More lines of rabbitmq.conf. */
  readonly configuration?: readonly string[];
}

interface Node {
  readonly name: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly distributionPort: number;
  readonly managementPort: number;
  child: ChildProcess | null;
}

const cookie = "glasshouse-test";
const readyLimitMs = 60_000;
const stopLimitMs = 20_000;

/**
 * A private RabbitMQ: nodes of its own on random ports of loopback, in a temporary directory, with its own port mapper and cookie.
 * The user is guest with the password guest. `close` ends and removes it; so does the end of the test's process.
 */
export class Rabbitmq {
  readonly directory: string;
  readonly certificates: Certificates | null;
  readonly #guard: Guard;
  readonly #remove: () => Promise<void>;
  readonly #nodes: readonly Node[];
  readonly #mapperPort: number;

  private constructor(of: {
    readonly directory: Awaited<ReturnType<typeof testDirectory>>;
    readonly certificates: Certificates | null;
    readonly nodes: readonly Node[];
    readonly mapperPort: number;
  }) {
    this.directory = of.directory.path;
    this.certificates = of.certificates;
    this.#remove = of.directory.remove;
    this.#guard = new Guard(of.directory.path);
    this.#nodes = of.nodes;
    this.#mapperPort = of.mapperPort;
  }

  /** Resolves when every node answers. */
  static async start(options: RabbitmqOptions = {}): Promise<Rabbitmq> {
    if (scriptsDirectory() === null)
      throw new Error("rabbitmq-server is not installed: run npm run tools as root");
    const directory = await testDirectory();
    const count = options.nodes ?? 1;
    const ports = await freePorts(1 + count * 4);
    const nodes = Array.from({ length: count }, (_, at) => ({
      name: `test${at}@localhost`,
      port: ports[1 + at * 4] ?? 0,
      tlsPort: ports[2 + at * 4] ?? 0,
      distributionPort: ports[3 + at * 4] ?? 0,
      managementPort: ports[4 + at * 4] ?? 0,
      child: null,
    }));
    const certificates =
      options.tls === undefined ? null : await makeCertificates(join(directory.path, "tls"));
    const broker = new Rabbitmq({ directory, certificates, nodes, mapperPort: ports[0] ?? 0 });
    try {
      await broker.#prepare(options);
      await Promise.all(nodes.map((_, at) => broker.start(at)));
      return broker;
    } catch (error) {
      await broker.close();
      throw error;
    }
  }

  get url(): string {
    return this.urlOf(0);
  }

  /** Of one node; with another user when given. */
  urlOf(at: number, credentials = "guest:guest"): string {
    return `amqp://${credentials}@127.0.0.1:${this.#node(at).port}`;
  }

  /** All nodes, as `bus.url` takes them. */
  get urls(): string {
    const others = this.#nodes.slice(1).map(({ port }) => `127.0.0.1:${port}`);
    return [this.url, ...others].join(",");
  }

  /** All nodes but one. */
  urlsWithout(at: number): string {
    const hosts = this.#nodes.flatMap(({ port }, other) =>
      other === at ? [] : [`127.0.0.1:${port}`],
    );
    return `amqp://guest:guest@${hosts.join(",")}`;
  }

  /** The node that a connection of this name is at, as the node `asked` knows. */
  async nodeOf(connection: string, asked = 0): Promise<number> {
    const list = await this.control(["list_connections", "pid", "client_properties"], asked);
    const line = list.split("\n").find((text) => text.includes(`"${connection}"`));
    return this.#nodes.findIndex(({ name }) => line?.startsWith(`<${name}.`) === true);
  }

  /** Only with the option `tls`. The certificate is for localhost. */
  tlsUrlOf(at: number, credentials = "guest:guest"): string {
    return `amqps://${credentials}@localhost:${this.#node(at).tlsPort}`;
  }

  portOf(at: number): number {
    return this.#node(at).port;
  }

  /** Only with the option `management`. */
  get managementUrl(): string {
    return `http://127.0.0.1:${this.#node(0).managementPort}`;
  }

  /** Starts a node that was stopped or killed, with what it had. */
  async start(at = 0): Promise<void> {
    const node = this.#node(at);
    const scripts = scriptsDirectory() ?? "";
    const child = this.#guard.spawn(join(scripts, "rabbitmq-server"), [], this.#environment(at));
    node.child = child;
    const output: string[] = [];
    child.stdout?.on("data", (chunk: Buffer) => output.push(chunk.toString("utf8")));
    child.stderr?.on("data", (chunk: Buffer) => output.push(chunk.toString("utf8")));
    const deadline = Date.now() + readyLimitMs;
    while (!(await answers(node.port))) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > deadline)
        throw new Error(`${node.name} did not become ready:\n${output.join("").slice(-4_000)}`);
      await sleep(50);
    }
  }

  /** Ends a node as an operator does. */
  async stop(at = 0): Promise<void> {
    const ended = end(this.#node(at), "SIGTERM");
    if (!(await Promise.race([ended.then(() => true), sleep(stopLimitMs, false)])))
      await this.kill(at);
  }

  /** Ends a node as a power cut does. */
  async kill(at = 0): Promise<void> {
    await end(this.#node(at), "SIGKILL");
  }

  /** The node stands still, with its connections open, until `resume`: what its peers see is a partition. */
  pause(at = 0): void {
    this.#node(at).child?.kill("SIGSTOP");
  }

  resume(at = 0): void {
    this.#node(at).child?.kill("SIGCONT");
  }

  /** Cuts the node's connections to the other nodes, and none comes back until `join`: the cluster is parted. Clients are not cut. */
  async part(at: number): Promise<void> {
    await this.#meet(at, (own) => `parted-${own}`);
  }

  /** The node and the others may connect again. */
  async join(at: number): Promise<void> {
    await this.#meet(at, () => cookie);
  }

  /**
   * Each side takes for the other this cookie, which counts from the next connection on; then the node alone ends those that
   * stand, all at once: to be cut from some of the others first would be another fault.
   */
  async #meet(at: number, cookieOf: (own: number) => string): Promise<void> {
    const others = [...this.#nodes.keys()].filter((other) => other !== at);
    const take = (own: number, peer: number): string =>
      `erlang:set_cookie('${this.#node(peer).name}', '${cookieOf(own)}')`;
    const leave = (peer: number): string => `erlang:disconnect_node('${this.#node(peer).name}')`;
    await Promise.all(others.map((own) => this.control(["eval", `${take(own, at)}.`], own)));
    const last = [...others.map((peer) => take(at, peer)), ...others.map(leave)];
    await this.control(["eval", `${last.join(", ")}.`], at);
  }

  /** Runs `rabbitmqctl` on a node and gives its output. About a second. */
  async control(args: readonly string[], at = 0): Promise<string> {
    const program = join(scriptsDirectory() ?? "", "rabbitmqctl");
    const { stdout } = await promisify(execFile)(program, ["-q", ...args], {
      env: this.#environment(at),
    });
    return stdout;
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => end(node, "SIGKILL")));
    await this.#guard.close();
    await this.#remove();
  }

  async #prepare(options: RabbitmqOptions): Promise<void> {
    await mkdir(join(this.directory, "log"));
    await writeFile(join(this.directory, ".erlang.cookie"), cookie, { mode: 0o400 });
    await writeFile(
      join(this.directory, "enabled_plugins"),
      `[${options.management === true ? "rabbitmq_management" : ""}].\n`,
    );
    for (const [at, node] of this.#nodes.entries()) {
      const lines = [...this.#configurationOf(node, options), ...(options.configuration ?? [])];
      await writeFile(join(this.directory, `node${at}.conf`), `${lines.join("\n")}\n`);
    }
    const mapper = ["-port", String(this.#mapperPort), "-address", "127.0.0.1"];
    // The server would start a mapper of its own, as a daemon that outlives it.
    const child = this.#guard.spawn("epmd", mapper, this.#environment(0));
    const deadline = Date.now() + readyLimitMs;
    while (!(await opens(this.#mapperPort))) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > deadline)
        throw new Error(`the port mapper did not become ready on port ${this.#mapperPort}`);
      await sleep(20);
    }
  }

  #configurationOf(node: Node, { tls, management }: RabbitmqOptions): readonly string[] {
    const peers = this.#nodes.map(
      ({ name }, at) => `cluster_formation.classic_config.nodes.${at + 1} = ${name}`,
    );
    return [
      `listeners.tcp.1 = 127.0.0.1:${node.port}`,
      ...(management === true
        ? ["management.tcp.ip = 127.0.0.1", `management.tcp.port = ${node.managementPort}`]
        : []),
      "log.console = true",
      "log.console.level = warning",
      "log.file = false",
      "disk_free_limit.absolute = 50MB",
      ...(peers.length === 1
        ? []
        : ["cluster_formation.peer_discovery_backend = classic_config", ...peers]),
      ...(this.certificates === null
        ? []
        : [
            `listeners.ssl.1 = 127.0.0.1:${node.tlsPort}`,
            `ssl_options.cacertfile = ${this.certificates.authority}`,
            `ssl_options.certfile = ${this.certificates.server.certificate}`,
            `ssl_options.keyfile = ${this.certificates.server.key}`,
            `ssl_options.verify = ${tls === "verify" ? "verify_peer" : "verify_none"}`,
            `ssl_options.fail_if_no_peer_cert = ${String(tls === "verify")}`,
          ]),
    ];
  }

  #environment(at: number): NodeJS.ProcessEnv {
    const node = this.#node(at);
    const loopback = "-kernel inet_dist_use_interface {127,0,0,1}";
    return {
      PATH: process.env["PATH"],
      LANG: "C.UTF-8",
      HOME: this.directory,
      // Any value: the server runs in the started process itself, so a signal reaches it.
      detached: "1",
      RABBITMQ_NODENAME: node.name,
      RABBITMQ_MNESIA_BASE: join(this.directory, `data${at}`),
      RABBITMQ_LOG_BASE: join(this.directory, "log"),
      RABBITMQ_CONF_ENV_FILE: "/dev/null",
      RABBITMQ_CONFIG_FILE: join(this.directory, `node${at}.conf`),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(this.directory, "enabled_plugins"),
      RABBITMQ_PID_FILE: join(this.directory, `node${at}.pid`),
      RABBITMQ_DIST_PORT: String(node.distributionPort),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: loopback,
      RABBITMQ_CTL_ERL_ARGS: loopback,
      ERL_EPMD_PORT: String(this.#mapperPort),
      ERL_EPMD_ADDRESS: "127.0.0.1",
    };
  }

  #node(at: number): Node {
    const node = this.#nodes[at];
    if (node === undefined) throw new Error(`the broker has no node ${at}`);
    return node;
  }
}

/** The package's own scripts; those in sbin switch to another user. */
function scriptsDirectory(): string | null {
  try {
    const found = execFileSync("sh", ["-c", "command -v rabbitmq-server"], { encoding: "utf8" });
    const beside = join(dirname(realpathSync(found.trim())), "rabbitmq-env");
    if (existsSync(beside)) return dirname(beside);
    const debian = "/usr/lib/rabbitmq/bin/rabbitmq-env";
    return existsSync(debian) ? dirname(realpathSync(debian)) : null;
  } catch {
    return null;
  }
}

/** Sends the signal, and waits until the process has ended. */
async function end(node: Node, signal: NodeJS.Signals): Promise<void> {
  const { child } = node;
  if (child === null) return;
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    child.kill(signal);
    // A paused process does not take SIGTERM.
    if (signal === "SIGTERM") child.kill("SIGCONT");
    await ended;
  }
  if (node.child === child) node.child = null;
}

/** Ready is a broker that answers the protocol's first bytes. */
async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("AMQP\0\0\u0009\u0001"));
    const settle = (good: boolean): void => {
      socket.destroy();
      resolve(good);
    };
    socket.once("data", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("close", () => settle(false));
    socket.setTimeout(2_000, () => settle(false));
  });
}

async function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
