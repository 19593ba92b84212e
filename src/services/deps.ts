import type { BlobStore } from "../ports/blob.ts";
import type { Clock } from "../ports/clock.ts";
import { defaultParallelism } from "../domain/run.ts";
import type { Executor } from "../ports/executor.ts";
import type { SecretSealer } from "../ports/secrets.ts";
import type { ArchiveSource, GitSource } from "../ports/source.ts";
import type { Store } from "../ports/store.ts";
import type { Log } from "../ports/telemetry.ts";
import type { QueueRoom } from "./queue-room.ts";
import type { Starts } from "./starts.ts";
import type { TemplateChoices } from "./template-choices.ts";

/** What the services stand on. Each function names the few of these that it needs. */
export interface Services {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealer: SecretSealer;
  readonly blobs: Pick<BlobStore, "put">;
  readonly git: GitSource;
  readonly archive: ArchiveSource;
  readonly executors: readonly ServiceExecutor[];
  readonly log: Log;
  readonly limits: ServiceLimits;
  readonly room: QueueRoom;
  readonly choices: TemplateChoices;
  readonly starts: Starts;
}

/** For reads. */
export type Reads = Pick<Services, "store">;

/** What registration knows of an executor. */
export type ServiceExecutor = Pick<
  Executor,
  "name" | "settings" | "filesOf" | "validate" | "foresee"
>;

export interface ServiceLimits {
  /** Steps of one run that are worked on at once, where its command does not say. */
  readonly parallelism: number;
  /** Queued runs in all. */
  readonly queuedRuns: number;
  /** Queued runs of one environment. */
  readonly queuedRunsOfEnvironment: number;
  /** Environments that one `cascade` may take down. */
  readonly cascade: number;
  /** `file://` repositories are taken: only while the server listens on loopback. */
  readonly allowFileRepositories: boolean;
  /** How long a saved plan may be applied. */
  readonly planLifetimeMs: number;
  /** Checking a template takes at most so long. */
  readonly compileTimeoutMs: number;
}

export const serviceLimits: ServiceLimits = {
  parallelism: defaultParallelism,
  queuedRuns: 10_000,
  queuedRunsOfEnvironment: 100,
  cascade: 1_000,
  allowFileRepositories: true,
  planLifetimeMs: 86_400_000,
  compileTimeoutMs: 60_000,
};
