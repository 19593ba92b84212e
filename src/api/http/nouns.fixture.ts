import type { Environment } from "../../domain/environment.ts";
import type { SavedPlan } from "../../domain/plan.ts";
import type { Resource } from "../../domain/resource.ts";
import type { Run } from "../../domain/run.ts";
import type { Step } from "../../domain/step.ts";
import type { Template } from "../../domain/template.ts";
import type { KnownWorker } from "../../ports/worker.ts";
import { sampleGroup, sampleTemplate } from "../../testing/samples.ts";

/** One of each noun, joined as they would be. */
export const at = "2026-01-31T12:00:00.000Z";

const desired = {
  templates: [{ templateId: "tpl_1", name: "web", version: "1.0.0", parameters: {} }],
};

export const environment: Environment = {
  id: "env_1",
  name: "shop",
  description: "",
  tags: { team: "a" },
  status: "deployed-ok",
  reason: null,
  failure: null,
  desired,
  generation: 1,
  appliedGeneration: 1,
  activeRun: null,
  sequence: 7,
  outputs: { password: { $secret: "sec_2", fingerprint: "f" }, address: "127.0.0.1" },
  entrypoints: { shop: { url: "http://127.0.0.1/", description: "" } },
  requires: [],
  outdated: false,
  drifted: false,
  prospective: false,
  createdAt: at,
  updatedAt: at,
  plannedDestructionAt: null,
  destroyedAt: null,
};

export const run: Run = {
  id: "run_1",
  environmentId: environment.id,
  kind: "create",
  status: "running",
  reason: null,
  blocker: { kind: "queue", on: ["run_0"] },
  failure: { code: "step-failed", message: "m", details: [{ message: "d", place: "a:1:1" }] },
  desired,
  generation: 1,
  planId: null,
  action: null,
  options: { deferred: "safe", parallelism: 10 },
  formatVersion: 1,
  attempt: 1,
  progress: { done: 1, total: 2, failed: 0, skipped: 0 },
  stage: "steps",
  cancelRequestedAt: null,
  killRequested: false,
  createdAt: at,
  startedAt: at,
  finishedAt: null,
};

const change = { address: "a.b", action: "update", before: { n: 1 }, after: { n: 2 } } as const;

const planned = {
  key: "apply:web/network",
  phase: "apply",
  template: "web",
  group: "network",
  executor: "command",
  mark: "exact",
  reason: "new group",
  retry: { attempts: 3, backoffMs: 5_000 },
  timeoutMs: 60_000,
  runsOn: [],
  onFailure: "stop",
  changes: [change],
  input: null,
} as const;

export const step: Step = {
  ...planned,
  id: "stp_1",
  runId: run.id,
  environmentId: environment.id,
  status: "running",
  failure: null,
  waitingOn: 0,
  token: 1,
  worker: "wrk_1",
  attempts: 1,
  availableAt: null,
  createdAt: at,
  startedAt: at,
  finishedAt: null,
};

export const plan: SavedPlan = {
  id: "pln_1",
  environmentId: environment.id,
  runId: run.id,
  kind: "update",
  status: "ready",
  desired,
  basis: { generation: 1, templateDigests: [], parametersHmac: "", groups: {} },
  plan: { formatVersion: 1, digest: "d", steps: [{ ...planned, dependsOn: [] }] },
  createdAt: at,
  expiresAt: at,
};

export const resource: Resource = {
  id: "res_1",
  environmentId: environment.id,
  templateId: "tpl_1",
  template: "web",
  group: "network",
  key: "vnet",
  name: "Virtual network",
  description: "",
  tags: {},
  count: 1,
  status: "present",
  links: {},
  checks: [],
  dependsOn: [],
  external: [],
  createdAt: at,
  updatedAt: at,
};

export const template: Template = {
  id: "tpl_1",
  name: "web",
  version: "1.0.0",
  status: "active",
  description: "",
  tags: {},
  source: {
    kind: "git",
    repository: "https://example.com/x.git",
    ref: "v1",
    commit: "c",
    path: "",
  },
  digest: "d",
  body: sampleTemplate(
    {
      network: sampleGroup({
        resources: {
          vnet: {
            name: "V",
            description: "",
            tags: {},
            count: 1,
            links: {},
            checks: {},
            dependsOn: [],
          },
        },
      }),
    },
    {
      parameters: {
        nodes: {
          type: "integer",
          description: "How many",
          default: 3,
          secret: false,
          immutable: false,
        },
      },
      requires: {
        base: { kind: "environment", environment: "base", outputs: ["x"], description: "" },
      },
      actions: {
        restart: {
          description: "",
          app: { name: "restart", command: ["./restart"] },
          timeoutMs: 60_000,
        },
      },
      lifetime: { defaultMs: 172_800_000 },
    },
  ),
  files: [{ path: "template.yaml", digest: "d", mode: 0o644, size: 10 }],
  createdAt: at,
};

export const worker: KnownWorker = {
  id: "wrk_1",
  labels: ["eu", "gpu"],
  process: { host: "node-1", pid: 7, startTime: "1", bootId: "b", pidNamespace: "" },
  version: "0.1.0",
  startedAt: at,
  status: "working",
  leaseEndsAt: at,
  isLapsed: false,
};
