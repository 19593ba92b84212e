import type { FastifyInstance } from "fastify";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { sortedLabels } from "../domain/label.ts";
import type { EngineDeps } from "../engine/deps.ts";
import type { Log } from "../ports/telemetry.ts";
import type { Isolation } from "../clients/process/isolation.ts";
import { BusGate } from "./bus-gate.ts";
import { compose, type Composition } from "./compose.ts";
import { listenAddress, listenOn } from "./config-listen.ts";
import type { ConsulRegistration } from "./consul-registration.ts";
import { refuseIdleRoles } from "./config-roles.ts";
import { Housekeeping } from "./housekeeping.ts";
import { httpServer, type ServerState } from "./http-server.ts";
import { programVersion } from "./program-version.ts";
import { WaitWatch } from "./wait-watch.ts";
import { WorkerRole } from "./worker-role.ts";

/** A server that takes requests and works. */
export interface RunningServer {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly url: string;
  /** Rejects when it turns out that it cannot work on steps. Stop it then. */
  readonly failed: Promise<never>;
  /** Takes no new work, lets steps end gently, closes. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a server in its roles: opens the store, listens, takes over what an earlier process left in flight. Resolves when it
 * takes requests, or steps if it does nothing else: with both roles what works on steps is loaded and started right after, and commands
 * that come before that wait for it. Errors: those of the configuration, the store and the address; what was opened is closed again.
 */
export async function startServer(
  config: Config,
  log: Log,
  isolating?: Promise<Isolation>,
): Promise<RunningServer> {
  const address = listenAddress(config);
  refuseIdleRoles(config);
  const parts = await compose(config, log, isolating);
  const state: ServerState = { phase: "starting" };
  const roles = rolesOf(config, { parts, log });
  const works = async (): Promise<void> => roles.worker?.start();
  const http = httpServer(config, { parts: roles.parts, log, state, works });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  try {
    if (!config.roles.includes("api")) await roles.worker?.start();
    const url = urlOf(await listenOn(address, (at) => http.listen({ ...at })), parts);
    roles.waits?.start();
    state.phase = "ready";
    const registration = await registrationIn(config, { parts, log, url });
    registration?.start();
    // Who waits for the server hears of it first.
    setImmediate(() => {
      beginWork(roles, () => state.phase === "ready").catch(failed.reject);
    });
    let stopped: Promise<void> | null = null;
    const stop = async (): Promise<void> => {
      state.phase = "stopping";
      await registration?.stop();
      await stopRoles(http, roles);
      await closeParts(parts, roles);
    };
    return { url, failed: failed.promise, stop: () => (stopped ??= stop()) };
  } catch (error) {
    await stopRoles(http, roles);
    await closeParts(parts, roles);
    throw error;
  }
}

/** Commands come over the bus when there is somebody to work on them. */
async function beginWork(
  { worker, housekeeping, bus }: Roles,
  isWanted: () => boolean,
): Promise<void> {
  if (!isWanted()) return;
  await worker?.start();
  if (!isWanted()) return;
  housekeeping.start();
  bus?.start();
}

/** Fastify does not know that what it listens with speaks TLS. */
function urlOf(listening: string, { certificate }: Pick<Composition, "certificate">): string {
  return certificate === null ? listening : listening.replace(/^http:/u, "https:");
}

/** Null unless it is asked for. Errors: `invalid-configuration` when it is, without a Consul. */
async function registrationIn(
  { consul, roles, listen, tls }: Pick<Config, "consul" | "roles" | "listen" | "tls">,
  of: { readonly parts: Composition; readonly log: Log; readonly url: string },
): Promise<ConsulRegistration | null> {
  if (consul.sidecar.register && !consul.register)
    throw new GlasshouseError(
      "invalid-configuration",
      "consul.sidecar.register is set and consul.register is not: a sidecar is registered with its service. Set both, or neither.",
    );
  if (!consul.register) return null;
  if (of.parts.consul === null)
    throw new GlasshouseError(
      "invalid-configuration",
      "consul.register is set and consul.address is not: there is no Consul to register in.",
    );
  const { ConsulRegistration: Kept, registrationOf } = await import("./consul-registration.ts");
  const registration = registrationOf({ roles, consul, listen, tls }, of.url);
  return new Kept({ client: of.parts.consul, registration, log: of.log });
}

/** What works in this process. Housekeeping does no harm in several. */
interface Roles {
  /** What they all stand on: no command is accepted before there is who could work on it. */
  readonly parts: Composition;
  readonly worker: WorkerRole | null;
  /** With the role api, as it ends in what services tell. */
  readonly waits: WaitWatch | null;
  /** With the role api, as messages are one more way in. */
  readonly bus: BusGate | null;
  readonly housekeeping: Housekeeping;
}

function rolesOf(
  config: Config,
  { parts: given, log }: { readonly parts: Composition; readonly log: Log },
): Roles {
  const worker = config.roles.includes("worker") ? workerRole(config, given) : null;
  const isApi = config.roles.includes("api");
  const parts: Composition = {
    ...given,
    accept: async (request) => {
      await worker?.start();
      return given.accept(request);
    },
  };
  return {
    parts,
    worker,
    waits: isApi ? new WaitWatch({ ...parts, log }) : null,
    bus: isApi ? new BusGate({ ...parts, log }) : null,
    housekeeping: new Housekeeping({
      ...parts,
      log,
      workRoot: parts.engine.settings.workRoot,
      prune: () => parts.prune(),
    }),
  };
}

function workerRole({ engine: { labels } }: Config, parts: Composition): WorkerRole {
  const deps = {
    ...parts.engine,
    worker: { version: programVersion(), labels: sortedLabels(labels) },
    requestDestroy: destroyOf(parts),
    requestRotation: rotationOf(parts),
  };
  return new WorkerRole(deps, parts.services);
}

/**
 * All at once, so that nothing holds up the rest: an API stops listening, ends its streams, so that their clients go on
 * elsewhere, and finishes its requests and messages; a worker takes nothing new and ends or parks what it has. One that only
 * works answers its probes to the end.
 */
async function stopRoles(http: FastifyInstance, roles: Roles): Promise<void> {
  const { worker, waits, bus, housekeeping } = roles;
  const working = worker?.stop();
  if (waits === null) await working;
  await Promise.all([http.close(), working, bus?.stopTaking(), waits?.stop(), housekeeping.stop()]);
}

/** What steps said at their end goes out before the store closes. */
async function closeParts(
  { bus, store, outside, certificate }: Composition,
  roles: Roles,
): Promise<void> {
  certificate?.close();
  await (roles.bus ?? bus).close();
  await store.close();
  // Last, as users of the store and the bus end with it.
  await outside.close();
}

/** The engine asks for destroys as anybody does: by a command, whose id makes it take effect once. */
function destroyOf({ accept }: Composition): EngineDeps["requestDestroy"] {
  return async ({ environmentId, key }) => {
    await accept({
      source: "glasshouse/lifetime",
      id: key,
      type: "environment.destroy",
      subject: environmentId,
      data: {},
      actor: "lifetime",
      // Its id is fixed: a refusal for now (something requires it) must not be remembered as the answer for ever.
      keepRefusal: false,
      mayWait: true,
    });
  };
}

/** As destroys are asked for. A refusal for now is not the answer for ever either. */
function rotationOf({ accept }: Composition): EngineDeps["requestRotation"] {
  return async ({ environmentId, secret, key }) => {
    await accept({
      source: "glasshouse/rotation",
      id: key,
      type: "environment.rotate",
      subject: environmentId,
      data: { secrets: [secret] },
      actor: "rotation",
      keepRefusal: false,
      mayWait: true,
    });
  };
}
