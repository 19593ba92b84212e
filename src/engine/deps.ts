import type { NewWorker } from "../domain/worker.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Checker } from "../ports/check.ts";
import type { CertificateAuthority } from "../ports/certificates.ts";
import type { CredentialLender } from "../ports/credentials.ts";
import type { Clock } from "../ports/clock.ts";
import type { Executor } from "../ports/executor.ts";
import type { Processes } from "../ports/processes.ts";
import type { SecretKeeper, SecretSealer } from "../ports/secrets.ts";
import type { Store } from "../ports/store.ts";
import type { Log, Metrics } from "../ports/telemetry.ts";

/** What the engine stands on. */
export interface EngineDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealer: SecretSealer;
  /** Who keeps values of declared secrets; new ones go to the first. The embedded one is always there. */
  readonly keepers: readonly [SecretKeeper, ...(readonly SecretKeeper[])];
  /** Who issues declared certificates; new ones come from the first. The embedded one is always there. */
  readonly authorities: readonly [CertificateAuthority, ...(readonly CertificateAuthority[])];
  readonly blobs: BlobStore;
  readonly executors: ReadonlyMap<string, Executor>;
  readonly checkers: readonly Checker[];
  readonly processes: Processes;
  /** Null: steps are lent no credentials. */
  readonly lender: CredentialLender | null;
  /** What this worker says of itself. It takes only steps that ask for no other labels than these. */
  readonly worker: Pick<NewWorker, "version" | "labels">;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: EngineSettings;
  /** Asks for the destroy of an environment whose time has come; the same key twice is one command. */
  readonly requestDestroy: (request: {
    readonly environmentId: string;
    readonly key: string;
  }) => Promise<void>;
  /** Asks for a new version of a declared secret or certificate whose time is over; the same key twice is one command. */
  readonly requestRotation: (request: {
    readonly environmentId: string;
    readonly secret: string;
    readonly key: string;
  }) => Promise<void>;
}

export interface EngineSettings {
  /** Steps that this process works on at once. */
  readonly places: number;
  /** Of those, at most so many of an executor (by name) or of checks (`check`). */
  readonly placesByExecutor: Readonly<Record<string, number>>;
  /** Work directories live here: `<root>/<environment>/<template>/<group>`. */
  readonly workRoot: string;
  /** How long `stop` waits for gently stopped steps before it gives up on them. */
  readonly stopGraceMs: number;
  /** How often what waits for something outside is looked at again although nothing woke it. */
  readonly sweepMs: number;
  /** Versions of a group's state that are kept. */
  readonly stateVersions: number;
  /** Test-only: called at each named boundary; a crash test ends the process there. */
  readonly failpoint: (name: Failpoint) => void | Promise<void>;
}

/** Boundaries of a step's life, in order. The crash tests stop the process at each. */
export const failpoints = [
  "run.planned",
  "run.started",
  "step.claimed",
  "step.prepared",
  "step.childStored",
  "step.acted",
  "step.recording",
  "step.recorded",
  "run.ending",
  "state.blobWritten",
  "state.saved",
] as const;

export type Failpoint = (typeof failpoints)[number];

export const engineDefaults = {
  places: 20,
  stopGraceMs: 660_000,
  sweepMs: 5_000,
  stateVersions: 50,
} as const;
