import type { ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { Guard } from "./guard.ts";
import { freePorts } from "./ports.ts";
import { testDirectory } from "./server.ts";
import { vaultKind, vaultProgram } from "./vault-program.ts";

const readyLimitMs = 60_000;
const initialised = z.object({ root_token: z.string(), keys_base64: z.array(z.string()) });
const authSchema = z.object({ auth: z.object({ client_token: z.string() }) });

export interface VaultAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface VaultStart {
  readonly tls?: boolean;
  /** It is the first node of a cluster, which others may join. */
  readonly cluster?: true;
  /** It becomes a standby of this one. */
  readonly joins?: Vault;
}

/**
 * A private Vault, or OpenBao when the tests are to run against that, on a random port of loopback. It keeps its data in files, so it can be
 * sealed, killed and started again. It has a KV engine, version 2, at `secret`. `close` ends and removes it; so does the end of the test's process.
 */
export class Vault {
  readonly directory: string;
  readonly certificates: Certificates | null;
  readonly #port: number;
  readonly #plainPort: number;
  readonly #clusterPort: number;
  readonly #secureClusterPort: number;
  readonly #options: VaultStart;
  readonly #remove: () => Promise<void>;
  readonly #guard: Guard;
  #child: ChildProcess | null = null;
  #root = "";
  #unsealKey = "";

  private constructor(of: {
    readonly directory: Awaited<ReturnType<typeof testDirectory>>;
    readonly certificates: Certificates | null;
    readonly ports: readonly number[];
    readonly options: VaultStart;
  }) {
    this.directory = of.directory.path;
    this.certificates = of.certificates;
    this.#options = of.options;
    this.#remove = of.directory.remove;
    this.#guard = new Guard(of.directory.path);
    const [plain = 0, cluster = 0, secure = 0, secureCluster = 0] = of.ports;
    [this.#plainPort, this.#clusterPort] = [plain, cluster];
    [this.#port, this.#secureClusterPort] = [secure, secureCluster];
  }

  /** Resolves when it is unsealed and its KV engine takes writes. */
  static async start(options: VaultStart = {}): Promise<Vault> {
    const directory = await testDirectory();
    const ports = await freePorts(4);
    const certificates =
      options.tls === true ? await makeCertificates(join(directory.path, "tls")) : null;
    const vault = new Vault({ directory, certificates, ports, options });
    try {
      await vault.#prepare();
      await (options.joins === undefined ? vault.#begin() : vault.#join(options.joins));
      return vault;
    } catch (error) {
      await vault.close();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#plainPort}`;
  }

  get port(): number {
    return this.#plainPort;
  }

  /** Only with the option `tls`. */
  get tlsUrl(): string {
    return `https://localhost:${this.#port}`;
  }

  /** May do everything. */
  get root(): string {
    return this.#root;
  }

  /** Starts it again after a kill; it is sealed then. */
  async run(): Promise<void> {
    const program = vaultProgram();
    if (program === null)
      throw new Error(`${vaultKind} is missing: run npm run tools -- ${vaultKind}`);
    const args = ["server", "-config", join(this.directory, "vault.json")];
    const env = { PATH: process.env["PATH"], HOME: this.directory, VAULT_DISABLE_MLOCK: "true" };
    const child = this.#guard.spawn(program, args, env);
    this.#child = child;
    const output: string[] = [];
    child.stdout?.on("data", (chunk: Buffer) => output.push(chunk.toString("utf8")));
    child.stderr?.on("data", (chunk: Buffer) => output.push(chunk.toString("utf8")));
    const deadline = Date.now() + readyLimitMs;
    for (;;) {
      const answer = await this.send("GET", "sys/seal-status").catch(() => null);
      if (answer?.status === 200) return;
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`vault did not become ready:\n${output.join("").slice(-3_000)}`);
      await sleep(50);
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    child.kill("SIGKILL");
    await ended;
  }

  async seal(): Promise<void> {
    await this.request("PUT", "sys/seal");
  }

  async unseal(): Promise<void> {
    await this.send("PUT", "sys/unseal", { body: { key: this.#unsealKey } });
    // An unsealed one is still becoming active for a moment.
    await this.#untilHealth(this.#options.joins === undefined ? [200] : [200, 429]);
  }

  /** One request as root, whatever its answer. `path` is without `/v1`. */
  async send(
    method: string,
    path: string,
    more: { readonly body?: unknown; readonly token?: string } = {},
  ): Promise<VaultAnswer> {
    const response = await fetch(`${this.url}/v1/${path}`, {
      method,
      headers: { "x-vault-token": more.token ?? this.#root },
      ...(more.body === undefined ? {} : { body: JSON.stringify(more.body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  /** As `send`; throws from 400 on. */
  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.send(method, path, { body });
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Puts a policy under this name. */
  async policy(name: string, rules: string): Promise<void> {
    await this.request("PUT", `sys/policies/acl/${name}`, { policy: rules });
  }

  /** A token with these policies and no others. */
  async token(policies: readonly string[], more: object = {}): Promise<string> {
    const body = { policies, no_default_policy: false, ...more };
    const answer = await this.request("POST", "auth/token/create-orphan", body);
    return authSchema.parse(answer).auth.client_token;
  }

  async close(): Promise<void> {
    await this.kill();
    await this.#guard.close();
    await this.#remove();
  }

  async #prepare(): Promise<void> {
    const secure =
      this.certificates === null
        ? []
        : [
            {
              tcp: {
                address: `127.0.0.1:${this.#port}`,
                cluster_address: `127.0.0.1:${this.#secureClusterPort}`,
                tls_cert_file: this.certificates.server.certificate,
                tls_key_file: this.certificates.server.key,
              },
            },
          ];
    const configuration = {
      ...(await this.#storage()),
      listener: [
        {
          tcp: {
            address: `127.0.0.1:${this.#plainPort}`,
            cluster_address: `127.0.0.1:${this.#clusterPort}`,
            tls_disable: true,
          },
        },
        ...secure,
      ],
      api_addr: this.url,
      log_level: "warn",
    };
    await writeFile(join(this.directory, "vault.json"), JSON.stringify(configuration));
    await this.run();
  }

  async #begin(): Promise<void> {
    const made = await this.request("PUT", "sys/init", { secret_shares: 1, secret_threshold: 1 });
    const { root_token: root, keys_base64: keys } = initialised.parse(made);
    [this.#root, this.#unsealKey] = [root, keys[0] ?? ""];
    await this.unseal();
    await this.request("POST", "sys/mounts/secret", { type: "kv", options: { version: "2" } });
    // A new engine upgrades itself for a moment before it takes writes.
    const deadline = Date.now() + readyLimitMs;
    while ((await this.send("POST", "secret/data/ready", { body: { data: {} } })).status !== 200) {
      if (Date.now() > deadline) throw new Error("the KV engine does not take writes");
      await sleep(50);
    }
    await this.request("DELETE", "secret/metadata/ready");
  }
  /** A standby answers with 429 that it is well. */
  async #join(first: Vault): Promise<void> {
    [this.#root, this.#unsealKey] = [first.#root, first.#unsealKey];
    await this.request("POST", "sys/storage/raft/join", { leader_api_addr: first.url });
    await this.send("PUT", "sys/unseal", { body: { key: this.#unsealKey } });
    await this.#untilHealth([429]);
  }

  async #untilHealth(wanted: readonly number[]): Promise<void> {
    const deadline = Date.now() + readyLimitMs;
    while (!wanted.includes((await this.send("GET", "sys/health")).status)) {
      if (Date.now() > deadline) throw new Error("vault did not become ready");
      await sleep(50);
    }
  }

  /** OpenBao has no plain files: there it is a cluster of one, unless others join. */
  async #storage(): Promise<object> {
    const path = join(this.directory, "data");
    const { cluster, joins } = this.#options;
    const alone = cluster !== true && joins === undefined;
    if (vaultKind === "vault" && alone) return { storage: { file: { path } }, disable_mlock: true };
    await mkdir(path);
    const raft = {
      path,
      node_id: `node-${this.#clusterPort}`,
      performance_multiplier: "1",
    };
    return {
      disable_mlock: true,
      storage: { raft },
      cluster_addr: `https://127.0.0.1:${this.#clusterPort}`,
    };
  }
}
