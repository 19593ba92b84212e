import { setTimeout as sleep } from "node:timers/promises";
import { failureOf, GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log, Metrics } from "../ports/telemetry.ts";
import {
  certificateFacts,
  timeOf,
  unusable,
  type CertificateFacts,
  type CertificateUse,
} from "./certificate-facts.ts";
import type { CertificateSource, ShownCertificate } from "./certificate-source.ts";

export interface CertificateInUseOptions {
  readonly use: CertificateUse;
  /** The section of the configuration, for messages. */
  readonly key: string;
  readonly source: CertificateSource;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface CertificateStatus extends CertificateFacts {
  readonly time: ReturnType<typeof timeOf>;
  /** Why it was not replaced although there was reason to; null when all is well. */
  readonly problem: string | null;
}

/** Certificate and key are two files, which are not replaced in one moment. */
const settleMs = 1_000;

interface Held {
  readonly shown: ShownCertificate;
  readonly facts: CertificateFacts;
}

/** The server's own certificate for one use, and the next one when there is one that will do. What will not do is refused, and that of before goes on. */
export class CertificateInUse {
  readonly #options: CertificateInUseOptions;
  readonly #watchers = new Set<() => void>();
  readonly #unobserve: () => void;
  #held: Held;
  #problem: string | null = null;
  #unwatch: () => void = () => {};
  #isLooking = false;
  #again = false;
  #closed = false;

  private constructor(options: CertificateInUseOptions, held: Held) {
    this.#options = options;
    this.#held = held;
    const { use, metrics, clock } = options;
    this.#unobserve = metrics.observe("glasshouse_tls_certificate_expiry_seconds", () => [
      { value: (this.#held.facts.endsAtMs - clock.now()) / 1_000, labels: { use } },
    ]);
  }

  /**
   * Takes the first one and begins to look for others. One that is over is shown all the same, as it is replaced without a restart.
   * Errors: `invalid-configuration` when it will not do, those of the source.
   */
  static async open(options: CertificateInUseOptions): Promise<CertificateInUse> {
    const { source, key, log } = options;
    const found = await settled(options);
    if (typeof found === "string")
      throw new GlasshouseError(
        "invalid-configuration",
        `${found}: look at the section ${key} of the configuration.`,
      );
    const made = new CertificateInUse(options, found);
    const { time } = made.status();
    if (time === "over" || time === "early")
      log.error("The server's certificate is not good now: others will not trust it", {
        key,
        names: found.facts.names,
        from: day(found.facts.beginsAtMs),
        until: day(found.facts.endsAtMs),
      });
    made.#unwatch = source.watch(() => made.#look());
    // It may have changed before anybody watched.
    made.#look();
    return made;
  }

  get shown(): ShownCertificate {
    return this.#held.shown;
  }

  status(): CertificateStatus {
    const { facts } = this.#held;
    const problem = this.#problem ?? this.#options.source.problem();
    return { ...facts, time: timeOf(facts, this.#options.clock.now()), problem };
  }

  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void {
    const own = (): void => fn();
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  close(): void {
    this.#closed = true;
    this.#unwatch();
    this.#unobserve();
    this.#watchers.clear();
  }

  #look(): void {
    this.#again = true;
    if (!this.#isLooking) void this.#lookAll();
  }

  async #lookAll(): Promise<void> {
    this.#isLooking = true;
    while (this.#again) {
      this.#again = false;
      const found = await settled(this.#options).catch(
        (error: unknown) => failureOf(error).message,
      );
      if (this.#closed) return;
      if (typeof found === "string") this.#refuse(found);
      else this.#take(found);
    }
    this.#isLooking = false;
  }

  #take(next: Held): void {
    const { use, clock, log, metrics } = this.#options;
    if (isSame(next.shown, this.#held.shown)) return this.#asBefore();
    const time = timeOf(next.facts, clock.now());
    if (time === "over")
      return this.#refuse(`The certificate ended on ${day(next.facts.endsAtMs)}`);
    if (time === "early")
      return this.#refuse(`The certificate is not good before ${day(next.facts.beginsAtMs)}`);
    this.#held = next;
    this.#problem = null;
    metrics.count("glasshouse_tls_certificates_total", { use, outcome: "taken" });
    const { serial, names, endsAtMs } = next.facts;
    log.info("The server goes on with a new certificate", {
      use,
      serial,
      names,
      until: day(endsAtMs),
    });
    for (const fn of this.#watchers) fn();
  }

  #asBefore(): void {
    const { key, log } = this.#options;
    if (this.#problem !== null) log.info("The certificate is the one in use again", { key });
    this.#problem = null;
  }

  #refuse(why: string): void {
    const { use, key, log, metrics, source, clock } = this.#options;
    source.refused(this.#held.facts.endsAtMs - clock.now());
    if (why === this.#problem) return;
    this.#problem = why;
    metrics.count("glasshouse_tls_certificates_total", { use, outcome: "refused" });
    const until = day(this.#held.facts.endsAtMs);
    log.error("A new certificate is refused, and the one before goes on", { key, why, until });
  }
}

/** What the source has now, or why that will not do: then it is looked at twice, as it may be about to be replaced. */
async function settled({ source, use }: CertificateInUseOptions): Promise<Held | string> {
  const first = await source.current().then((shown) => heldOf(shown, use), refusal);
  if (typeof first !== "string") return first;
  await sleep(settleMs);
  return heldOf(await source.current(), use);
}

function refusal(error: unknown): string {
  return failureOf(error).message;
}

function heldOf(shown: ShownCertificate, use: CertificateUse): Held | string {
  const facts = certificateFacts(shown.certificate);
  const why = unusable(shown, use);
  if (why !== null) return why;
  return facts === null ? "The certificate cannot be read" : { shown, facts };
}

function isSame(one: ShownCertificate, other: ShownCertificate): boolean {
  return (
    one.certificate === other.certificate &&
    one.key === other.key &&
    one.authorities === other.authorities
  );
}

function day(atMs: number): string {
  return new Date(atMs).toISOString();
}
