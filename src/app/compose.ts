import { join } from "node:path";
import { EmbeddedBus } from "../adapters/buses/embedded/index.ts";
import { commandChecker } from "../adapters/checks/command/index.ts";
import { consulChecker } from "../adapters/checks/consul/index.ts";
import { httpChecker } from "../adapters/checks/http/index.ts";
import { tcpChecker } from "../adapters/checks/tcp/index.ts";
import { observeProcess, PrometheusMetrics } from "../adapters/telemetry/prometheus/index.ts";
import { SystemClock } from "../adapters/clock/system/index.ts";
import { commandExecutor } from "../adapters/executors/command/index.ts";
import { consulKvExecutor } from "../adapters/executors/consul-kv/index.ts";
import {
  checkGrants,
  createTerraformExecutor,
  type TerraformExecutor,
} from "../adapters/executors/terraform/index.ts";
import { embeddedAuthority, embeddedKeeper } from "../adapters/secrets/embedded/index.ts";
import { vaultCertificatesExecutor } from "../adapters/executors/vault-certificates/index.ts";
import { vaultSecretsExecutor } from "../adapters/executors/vault-secrets/index.ts";
import { unpack } from "../adapters/sources/archive/index.ts";
import { gitSource } from "../adapters/sources/git/index.ts";
import { detectIsolation, type Isolation } from "../clients/process/isolation.ts";
import { localProcesses } from "../clients/process/processes.ts";
import type { ConsulClient } from "../clients/consul/client.ts";
import { Remotes } from "../clients/resilience/remotes.ts";
import { grantedIn } from "../clients/vault/grants.ts";
import type { Config } from "../contract/config.ts";
import { engineDefaults, type EngineDeps } from "../engine/deps.ts";
import type { Bus } from "../ports/bus.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Checker } from "../ports/check.ts";
import type { Borrower } from "../ports/credentials.ts";
import { timestamp, type Clock } from "../ports/clock.ts";
import type { Executor } from "../ports/executor.ts";
import type { SecretSealer } from "../ports/secrets.ts";
import type { GitSource } from "../ports/source.ts";
import type { LastingStore, Retention } from "../ports/store.ts";
import type { Log, Metrics } from "../ports/telemetry.ts";
import type { Services } from "../services/deps.ts";
import { accept } from "../services/command.ts";
import { serviceLimits } from "../services/deps.ts";
import { QueueRoom } from "../services/queue-room.ts";
import { Starts } from "../services/starts.ts";
import { TemplateChoices } from "../services/template-choices.ts";
import { watchCredentials } from "./credential-watch.ts";
import { busCertificate, busCredentials, busSettings, busUsers } from "./bus-settings.ts";
import { leasedGrants, resolveGrants } from "./config-grants.ts";
import { moduleHosts } from "./module-hosts.ts";
import { gitCredentials } from "./git-credentials.ts";
import { isLoopback, listenAddress } from "./config-listen.ts";
import { openOutside, type Outside, type Variables } from "./outside.ts";
import type { NamedServices } from "./service-address.ts";
import type { VaultParts } from "./vault.ts";
import type { CertificateInUse } from "./certificate-in-use.ts";
import { openServedCertificate } from "./served-tls.ts";
import { observeBus, observeIssued } from "./metered-bus.ts";
import { meterAccept, type Accept } from "./metered-accept.ts";
import { meterStore, observeStore } from "./metered-store.ts";
import { programVersion } from "./program-version.ts";
import { openStore, type Lasting } from "./compose-store.ts";
import { crashHooks, type CrashHooks } from "./crash-hooks.ts";

/** The parts that a server is made of. This file and compose-store.ts alone name concrete adapters. */
export interface Composition {
  readonly store: LastingStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly executors: readonly Executor[];
  readonly terraform: TerraformExecutor;
  readonly isolation: Isolation;
  /** The data directory. */
  readonly data: string;
  readonly services: Services;
  /** Started: it connects by itself. */
  readonly bus: Bus;
  /** Null when none is configured. */
  readonly consul: ConsulClient | null;
  /** Null: declared secrets are kept in the store. */
  readonly vault: VaultParts | null;
  readonly outside: Pick<Outside, "close">;
  /** The one that is served; null when it speaks HTTP in clear. */
  readonly certificate: CertificateInUse | null;
  /** The one that PostgreSQL is shown; null without one. */
  readonly storeCertificate: CertificateInUse | null;
  /** The way in for commands. */
  readonly accept: Accept;
  readonly metrics: Metrics;
  /** In Prometheus' text format. */
  readonly metricsText: () => Promise<string>;
  readonly remotes: Remotes;
  /** Removes what retention no longer keeps. */
  readonly prune: () => Promise<void>;
  /** What the engine needs beside what the server itself gives it. */
  readonly engine: Omit<EngineDeps, "requestDestroy" | "requestRotation" | "worker">;
}

const commandGraceMs = 60_000;
/** The bus is begun with so long after Consul was asked where it is: nothing waits for it. */
const firstAnswerMs = 2_000;

/**
 * Opens the store and what lies in the data directory and joins it; `isolating` is how children are held together here, when
 * somebody has begun to find out. Errors: those of the store (in use, newer, damaged), of the
 * key files, and `invalid-configuration`.
 */
export async function compose(
  config: Config,
  log: Log,
  isolating: Promise<Isolation> = detectIsolation(),
): Promise<Composition> {
  const clock = new SystemClock();
  const metrics = new PrometheusMetrics();
  observeProcess(metrics, { version: programVersion() });
  const remotes = new Remotes({ metrics, log, clock });
  const crash = crashHooks(process.env);
  const outside = await openOutside(config, { env: process.env, remotes, clock, log });
  const { consul, vault, variables, named } = outside;
  const around = { clock, log, crash, metrics, remotes, variables, vault, named };
  let opened: Lasting | null = null;
  let certificate: CertificateInUse | null = null;
  try {
    certificate = await openServedCertificate(config, around);
    opened = await openStore(config, around);
    const { store, blobs, sealer } = opened;
    const isolation = await isolating;
    const given = { isolation, log, clock, variables, consul, vault };
    const { terraform, executors } = await createExecutors(config, given);
    const metered = meterStore(store, { metrics, clock });
    observeStore(store, { metrics, clock });
    const shared = { store: metered, clock, sealer, blobs, log, metrics };
    const bus = await createBus(config, { ...around, sealer });
    observeBus({ bus, store }, metrics);
    const services = await servicesOf(config, { ...shared, executors, remotes, variables });
    return {
      ...shared,
      store,
      remotes,
      metricsText: () => metrics.text(),
      executors,
      terraform,
      isolation,
      data: config.data,
      bus,
      consul,
      vault,
      outside,
      certificate,
      storeCertificate: opened.certificate,
      services,
      accept: meterAccept((request) => accept(services, request), shared),
      engine: {
        ...shared,
        keepers: await keepersOf(config, { vault, sealer }),
        authorities: await authoritiesOf(config, { ...shared, vault }),
        executors: new Map(executors.map((executor) => [executor.name, executor])),
        checkers: await createCheckers(config, { isolation, consul }),
        processes: localProcesses(),
        lender: await lenderOf(config, { vault, clock, log }),
        settings: engineSettings(config, crash),
      },
      prune: () => store.prune(retentionOf(config, clock)),
    };
  } catch (error) {
    certificate?.close();
    await opened?.store.close();
    await outside.close();
    throw error;
  }
}

async function servicesOf(
  config: Config,
  of: Omit<Services, "git" | "archive" | "limits" | "room" | "choices" | "starts"> & {
    readonly remotes: Remotes;
    readonly variables: Variables;
  },
): Promise<Services> {
  const { remotes, variables, ...shared } = of;
  return {
    ...shared,
    git: await createGit(config, { remotes, variables }),
    archive: { unpack },
    limits: limitsOf(config),
    room: new QueueRoom(of.clock),
    choices: new TemplateChoices(),
    starts: new Starts(of.store),
  };
}

/**
 * New values go to Vault where there is one; those that are in the store stay there until they are rotated. As with all that
 * is said to Vault, it is loaded only then.
 */
async function keepersOf(
  { vault: { kv, shared } }: Pick<Config, "vault">,
  { vault, sealer }: { readonly vault: VaultParts | null; readonly sealer: SecretSealer },
): Promise<EngineDeps["keepers"]> {
  const embedded = embeddedKeeper(sealer);
  if (vault === null) return [embedded];
  const { vaultKeeper } = await import("../adapters/secrets/vault/index.ts");
  return [vaultKeeper({ session: vault.session, sealer, shared, ...kv }), embedded];
}

/** New certificates come from Vault where there is one; the embedded authority revokes those that it has issued. */
async function authoritiesOf(
  { vault: { kv, pki } }: Pick<Config, "vault">,
  of: Pick<EngineDeps, "store" | "sealer" | "clock" | "log"> & {
    readonly vault: VaultParts | null;
  },
): Promise<EngineDeps["authorities"]> {
  const { vault, sealer, log } = of;
  if (vault === null) return [embeddedAuthority(of)];
  const { vaultAuthority } = await import("../adapters/secrets/vault/index.ts");
  const { session } = vault;
  return [
    vaultAuthority({ session, sealer, log, ...kv, pki: pki.mount }),
    embeddedAuthority({ ...of, isFormer: true }),
  ];
}

/** Null when no credentials are granted that are made for each attempt. Errors: `invalid-configuration`. */
async function lenderOf(
  { executors }: Pick<Config, "executors">,
  {
    vault,
    clock,
    log,
  }: { readonly vault: VaultParts | null; readonly clock: Clock; readonly log: Log },
): Promise<EngineDeps["lender"]> {
  const has = { hasVault: vault !== null };
  const granted = new Map(
    Object.entries(executors).map(([name, grants]) => [
      name,
      leasedGrants(`executors.${name}`, grants, has),
    ]),
  );
  if (vault === null) return null;
  const { vaultLender } = await import("../adapters/credentials/vault/index.ts");
  const { session } = vault;
  const of = ({ executor, template }: Borrower) => granted.get(executor)?.(template) ?? [];
  return vaultLender({ session, clock, log, granted: of });
}

function limitsOf(config: Config): Services["limits"] {
  const allowFileRepositories = isLoopback(listenAddress(config).host);
  return { ...serviceLimits, allowFileRepositories, parallelism: config.engine.parallelism };
}

function engineSettings(config: Config, crash: CrashHooks): EngineDeps["settings"] {
  return {
    ...engineDefaults,
    places: config.engine.places,
    placesByExecutor: config.engine.placesByExecutor,
    stateVersions: config.retention.states,
    workRoot: join(config.data, "work"),
    failpoint: crash.failpoint,
  };
}

async function createExecutors(
  config: Config,
  of: {
    readonly isolation: Isolation;
    readonly log: Log;
    readonly clock: Clock;
    readonly variables: Variables;
    readonly consul: ConsulClient | null;
    readonly vault: VaultParts | null;
  },
): Promise<{ readonly terraform: TerraformExecutor; readonly executors: readonly Executor[] }> {
  const { isolation, log, clock, variables, consul, vault } = of;
  const granted = config.executors;
  for (const { env } of [granted.terraform, ...Object.values(granted.terraform.templates)])
    checkGrants(env);
  const shared = { isolation, environment: process.env, hide: [config.data] };
  const { program } = granted.terraform;
  const terraform = createTerraformExecutor({
    ...shared,
    grants: await resolveGrants("executors.terraform", granted.terraform, variables),
    hosts: await moduleHosts(granted.terraform, variables),
    log,
    ...(program === undefined ? {} : { program }),
  });
  const command = commandExecutor({
    ...shared,
    grants: await resolveGrants("executors.command", granted.command, variables),
    graceMs: commandGraceMs,
  });
  const inVault = {
    session: vault?.session ?? null,
    mount: config.vault.kv.mount,
    granted: grantedIn(config.vault.grants ?? null),
  };
  const executors = [
    terraform,
    command,
    vaultSecretsExecutor(inVault),
    vaultCertificatesExecutor({ ...inVault, pki: config.vault.pki.mount, clock, log }),
    consulKvExecutor({ client: consul, datacenter: config.consul.datacenter ?? null }),
  ];
  return { terraform, executors };
}

/** Templates of git hosts, with the logins that are configured. Errors: `invalid-configuration`. */
async function createGit(
  config: Config,
  { remotes, variables }: { readonly remotes: Remotes; readonly variables: Variables },
): Promise<GitSource> {
  const credentials = await gitCredentials(config, variables);
  return gitSource({ env: process.env, remotes, credentials });
}

/** Embedded without an address, and for a process that takes no commands. Its client is loaded only where it is used. */
async function createBus(
  config: Config,
  given: {
    readonly clock: Clock;
    readonly log: Log;
    readonly remotes: Remotes;
    readonly metrics: Metrics;
    readonly variables: Variables;
    readonly vault: VaultParts | null;
    readonly named: NamedServices;
    readonly sealer: SecretSealer;
  },
): Promise<Bus> {
  const { variables, vault, named, sealer, ...of } = given;
  const settings = await busSettings(config.bus, variables);
  if (settings === null || !config.roles.includes("api")) return new EmbeddedBus();
  const { AmqpBus } = await import("../adapters/buses/amqp/index.ts");
  const users = busUsers(config.bus, vault);
  const certificate = busCertificate(config.bus, vault);
  if (certificate !== null) observeIssued(certificate, of);
  const read = () => busCredentials(config.bus, variables, { users, certificate });
  const { service } = settings;
  const found = service === null ? null : await named.follow("bus.url", service, firstAnswerMs);
  const bus = new AmqpBus({
    ...of,
    settings,
    ...(found === null ? {} : { hosts: found.hosts }),
    credentials: read,
    prove: (text) => sealer.fingerprint(text),
    watchCredentials(changed) {
      certificate?.watch(changed);
      return watchCredentials({ ...of, read, changed });
    },
    ...(users === null ? {} : { users }),
    connection: of.remotes.connection({
      kind: "bus",
      name: "the message broker",
      advice: "Look at the broker, and at bus.url, bus.username and bus.password.",
    }),
  });
  await bus.start();
  return bus;
}

/** Saved plans may be applied for a day; a week later nobody asks for them. */
const plansKeptMs = 8 * 86_400_000;

function retentionOf({ retention }: Config, clock: Clock): Retention {
  return {
    journalBefore: timestamp(clock, -retention.eventsMs),
    commandsBefore: timestamp(clock, -retention.commandsMs),
    logsBefore: timestamp(clock, -retention.logsMs),
    plansBefore: timestamp(clock, -plansKeptMs),
  };
}

async function createCheckers(
  config: Config,
  { isolation, consul }: Pick<Composition, "isolation" | "consul">,
): Promise<readonly Checker[]> {
  return [
    httpChecker,
    tcpChecker,
    await consulChecker(consul),
    commandChecker({
      isolation,
      outputs: join(config.data, "work", "checks"),
      hide: [config.data],
    }),
  ];
}
