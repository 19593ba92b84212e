import { statfs } from "node:fs/promises";
import type { RemoteStatus } from "../clients/resilience/remote.ts";
import type { Config } from "../contract/config.ts";
import type { HealthView } from "../contract/rest.ts";
import { failureOf } from "../domain/errors.ts";
import { offersText } from "../domain/label.ts";
import { livingOffers } from "../services/worker.ts";
import { certificateHealth } from "./certificate-health.ts";
import type { Composition } from "./compose.ts";

type Dependency = HealthView["dependencies"][number];
type Parts = Pick<
  Composition,
  | "store"
  | "data"
  | "terraform"
  | "isolation"
  | "bus"
  | "remotes"
  | "consul"
  | "vault"
  | "certificate"
  | "storeCertificate"
>;

/** Below this the server still works, but somebody should make room. */
const littleRoomBytes = 1024 ** 3;
/** A look that takes longer is given up: who asks for health is told that, in time. */
const lookMs = 3_000;
/** Shorter, so that what is known of its breaker is told too. */
const consulLookMs = 2_500;

/**
 * Each thing the server stands on, how it is, and what to do about it. Never throws, and answers within seconds. It is `down`
 * only when the store is: without anything else it still answers, and work that needs what is missing waits.
 */
export async function health(
  parts: Parts,
  { ready, roles }: { readonly ready: boolean; readonly roles: Config["roles"] },
): Promise<HealthView> {
  const looks = roles.includes("worker")
    ? [
        inTime("terraform", () => terraformHealth(parts)),
        inTime("isolation", () => isolationHealth(parts)),
      ]
    : [inTime("workers", () => workersHealth(parts))];
  const [store, ...others] = await Promise.all([
    inTime("store", () => storeHealth(parts)),
    inTime("disk", () => roomHealth(parts)),
    inTime("secrets", () => secretsHealth(parts)),
    ...looks,
    ...(parts.bus.kind === "embedded" ? [] : [inTime("bus", () => busHealth(parts))]),
    ...(parts.consul === null ? [] : [inTime("consul", () => consulHealth(parts))]),
  ]);
  const certificates = [
    ...(parts.certificate === null ? [] : [certificateHealth("certificate", parts.certificate)]),
    ...(parts.storeCertificate === null
      ? []
      : [certificateHealth("store certificate", parts.storeCertificate)]),
  ];
  const dependencies = [store, ...others, ...certificates, ...remotesHealth(parts)];
  const worse = dependencies.some((dependency) => dependency.status !== "up");
  const status = store.status === "down" ? "down" : worse ? "degraded" : "ok";
  return { status, live: true, ready, dependencies };
}

async function inTime(name: string, look: () => Promise<Dependency>): Promise<Dependency> {
  const late = Promise.withResolvers<Dependency>();
  const advice = `Look at the server's log and at what ${name} stands on.`;
  const down = { name, status: "down", latencyMs: null, advice, breaker: null } as const;
  const timer = setTimeout(
    () => late.resolve({ ...down, detail: `no answer within ${lookMs / 1000} s` }),
    lookMs,
  );
  try {
    return await Promise.race([look(), late.promise]);
  } catch (error) {
    return { ...down, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** The store's breaker, when it has one, is shown with it. */
async function storeHealth({ store, remotes }: Parts): Promise<Dependency> {
  const { status, detail, latencyMs } = await store.health();
  const remote = remotes.statuses().find(({ kind }) => kind === "store");
  const advice =
    status === "up"
      ? null
      : (remote?.advice ??
        (status === "read-only"
          ? "Look at the server's log; `glasshouse restore` puts a backup in place."
          : "Work pauses and goes on by itself when the store is there again: look at its log and the way to it."));
  const breaker = remote === undefined ? null : breakerOf(remote);
  return { name: "store", status, detail, latencyMs, advice, breaker };
}

/** One that works itself is a worker; an API alone needs others. */
async function workersHealth({ store }: Parts): Promise<Dependency> {
  const offers = await store.read((tx) => livingOffers(tx));
  const there = offers.length > 0;
  return {
    name: "workers",
    status: there ? "up" : "missing",
    detail: there ? `${offers.length} there; ${offersText(offers)}` : "no worker is there now",
    latencyMs: null,
    advice: there
      ? null
      : "Start one with `glasshouse server --roles worker`: until then what is asked for waits.",
    breaker: null,
  };
}

/** Without Vault named as what it is: values are in the store, under the key file. Vault away is no reason for the server to be down. */
async function secretsHealth({ vault, remotes }: Parts): Promise<Dependency> {
  const name = "secrets";
  if (vault === null) {
    const detail = "kept in the embedded sealed store; certificates by the embedded authority";
    return { name, status: "up", detail, latencyMs: null, advice: null, breaker: null };
  }
  const [{ lookAtVault }, { vaultAdvice }] = await Promise.all([
    import("../clients/vault/status.ts"),
    import("./vault.ts"),
  ]);
  const startedAtMs = performance.now();
  const seen = await lookAtVault(vault, AbortSignal.timeout(lookMs)).then(
    ({ version }) => ({
      isUp: true,
      detail: `kept in Vault ${version}; certificates by its PKI engine`,
    }),
    (error: unknown) => ({ isUp: false, detail: failureOf(error).message }),
  );
  const remote = remotes.statuses().find((one) => one.name === "vault");
  return {
    name,
    status: seen.isUp ? "up" : "unreachable",
    detail: seen.detail,
    latencyMs: seen.isUp ? performance.now() - startedAtMs : null,
    advice: seen.isUp ? null : vaultAdvice,
    breaker: remote === undefined ? null : breakerOf(remote),
  };
}

async function roomHealth({ data }: Parts): Promise<Dependency> {
  const { bavail, bsize } = await statfs(data);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free for data`;
  const low = free <= littleRoomBytes;
  return {
    name: "disk",
    status: low ? "low" : "up",
    detail,
    latencyMs: null,
    advice: low ? "Make room: commands are refused when the disk is full." : null,
    breaker: null,
  };
}

/** Missing Terraform is no fault of the server: only templates that need it are affected. */
async function terraformHealth({ terraform }: Parts): Promise<Dependency> {
  const about = { name: "terraform", latencyMs: null, breaker: null } as const;
  try {
    const { product, version } = await terraform.program();
    return { ...about, status: "up", detail: `${product} ${version}`, advice: null };
  } catch (error) {
    const advice =
      "Put terraform or tofu on PATH, or name it with executors.terraform.program, if templates need it.";
    return { ...about, status: "missing", detail: failureOf(error).message, advice };
  }
}

/** Without it commands come by REST alone, and what happened is sent later: the server itself is not down. */
async function busHealth({ bus, remotes }: Parts): Promise<Dependency> {
  const { status, detail, latencyMs, advice } = await bus.status();
  const remote = remotes.statuses().find(({ kind }) => kind === "bus");
  const breaker = remote === undefined ? null : breakerOf(remote);
  const shown = status === "up" ? "up" : "unreachable";
  return { name: "bus", status: shown, detail, latencyMs, advice, breaker };
}

/** Without it groups and checks of Consul wait; the server itself is not down. */
async function consulHealth({ consul, remotes }: Parts): Promise<Dependency> {
  const { lookAtConsul } = await import("../clients/consul/status.ts");
  const startedAtMs = performance.now();
  const problem =
    consul === null
      ? "none is configured"
      : await lookAtConsul(consul, consulLookMs).then(
          () => null,
          (error: unknown) => failureOf(error).message,
        );
  const remote = remotes.statuses().find(({ name }) => name === "consul");
  return {
    name: "consul",
    status: problem === null ? "up" : "unreachable",
    detail: problem ?? "it has a leader and knows the token",
    latencyMs: problem === null ? performance.now() - startedAtMs : null,
    advice:
      problem === null
        ? null
        : "Work that needs Consul pauses and goes on by itself. Look at Consul, and at consul.address and consul.token.",
    breaker: remote === undefined ? null : breakerOf(remote),
  };
}

async function isolationHealth({ isolation }: Parts): Promise<Dependency> {
  const strong = isolation.kind !== "none";
  const detail = strong ? `children run under ${isolation.kind}` : "children are not fenced off";
  return {
    name: "isolation",
    status: strong ? "up" : "weak",
    detail,
    latencyMs: null,
    advice: strong ? null : "Install bubblewrap, or util-linux with user namespaces.",
    breaker: null,
  };
}

/** What this process has called, but for store, bus and Consul, which are asked themselves. */
function remotesHealth({ remotes }: Parts): readonly Dependency[] {
  const others = remotes.statuses().filter(({ kind }) => kind === "git");
  return others.map((remote) => ({
    name: remote.name,
    status: remote.state === "closed" ? "up" : "down",
    detail:
      remote.state === "closed" ? "it answers" : (remote.lastError?.message ?? "not there yet"),
    latencyMs: remote.latencyMs,
    advice: remote.advice,
    breaker: breakerOf(remote),
  }));
}

function breakerOf({ state, sinceMs, lastError, retryAtMs }: RemoteStatus): Dependency["breaker"] {
  return {
    state,
    since: time(sinceMs),
    lastError: lastError?.message ?? null,
    lastErrorAt: time(lastError?.atMs),
    retryAt: time(retryAtMs),
  };
}

function time(atMs: number | null | undefined): string | null {
  return atMs === null || atMs === undefined ? null : new Date(atMs).toISOString();
}
