import type { VaultGranted } from "../../../clients/vault/grants.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Executor } from "../../../ports/executor.ts";
import type { Log } from "../../../ports/telemetry.ts";

export interface VaultCertificatesHost {
  /** Null: no Vault is configured. */
  readonly session: VaultSession | null;
  /** Of keys whose settings name none: the KV engine, version 2, and the PKI engine. */
  readonly mount: string;
  readonly pki: string;
  readonly granted: VaultGranted;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
}

/** What only a step needs. */
export type CertificateSteps = Pick<Executor, "plan" | "apply" | "destroy" | "observe">;
