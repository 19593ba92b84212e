import { failureOf } from "../../domain/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/telemetry.ts";
import { issueAt, type CertificateSubject } from "./pki.ts";
import type { VaultSession } from "./session.ts";

export interface KeptCertificateOptions {
  readonly session: VaultSession;
  /** Where a PKI engine issues, such as `pki/issue/glasshouse`. */
  readonly path: string;
  readonly subject: CertificateSubject;
  readonly clock: Pick<Clock, "now" | "after">;
  readonly log: Log;
}

/** In PEM: the certificate with those between it and the authority, and its key. */
export interface OwnCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** It is replaced when this part of its time is left. */
const restPart = 1 / 3;
const againMs = 5_000;
/** One that will not do is followed by another one after so long at most: somebody has to mend the role first. */
const afterRefusalMs = 300_000;
const soonestMs = 500;

/**
 * The server's own certificate for one use: issued when it is first asked for, and another one at two thirds of its time. Whoever uses it
 * is told. One that was replaced ends by itself: give certificates a short life.
 */
export class KeptCertificate {
  readonly #options: KeptCertificateOptions;
  readonly #watchers = new Set<() => void>();
  #issuing: Promise<OwnCertificate> | null = null;
  #forget: (() => void) | null = null;
  #closed = false;
  #problem: string | null = null;
  #endsAtMs: number | null = null;

  constructor(options: KeptCertificateOptions) {
    this.#options = options;
  }

  /** Errors: those of the session; `invalid-request` for what the role does not allow. */
  async current(): Promise<OwnCertificate> {
    // Whoever asks meanwhile waits for the same one; what failed is asked for again.
    this.#issuing ??= this.#issue().catch((error: unknown) => {
      this.#issuing = null;
      throw error;
    });
    return this.#issuing;
  }

  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void {
    const own = (): void => fn();
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  /** Why there is no other one yet although it is time; null when all is well. */
  get problem(): string | null {
    return this.#problem;
  }

  /** When the last one that was issued ends; null before the first. */
  get endsAtMs(): number | null {
    return this.#endsAtMs;
  }

  /** What it gave will not do, and that of before is good for so long: another one is asked for in time. */
  refused(leftMs: number): void {
    this.#wake(Math.max(againMs, Math.min(afterRefusalMs, leftMs * restPart)));
  }

  close(): void {
    this.#closed = true;
    this.#forget?.();
    this.#watchers.clear();
  }

  async #issue(): Promise<OwnCertificate> {
    const { session, path, subject, clock } = this.#options;
    const issued = await issueAt(session, path, subject);
    this.#endsAtMs = issued.endsAtMs;
    const between = issued.chain.filter((one) => one !== issued.issuer);
    this.#wake((issued.endsAtMs - clock.now()) * (1 - restPart));
    const certificate = [issued.certificate, ...between].join("\n");
    return { certificate, key: issued.key };
  }

  #wake(delayMs: number): void {
    this.#forget?.();
    if (this.#closed) return;
    const { clock } = this.#options;
    this.#forget = clock.after(Math.max(soonestMs, delayMs), () => void this.#replace());
  }

  async #replace(): Promise<void> {
    const { log, path } = this.#options;
    try {
      const next = await this.#issue();
      this.#issuing = Promise.resolve(next);
      this.#problem = null;
      for (const fn of this.#watchers) fn();
    } catch (error) {
      this.#problem = failureOf(error).message;
      log.warn("Another certificate could not be had from Vault; it is tried again", {
        path,
        error,
      });
      this.#wake(againMs);
    }
  }
}
