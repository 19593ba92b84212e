import { isLiving } from "../domain/environment.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import { groupKey } from "../domain/record.ts";
import type { EngineDeps } from "./deps.ts";

const longestSleepMs = 60_000;
const batch = 100;

/** Asks for new versions of the secrets and certificates whose declared time is over, by a command as anybody would. */
export class Rotation {
  readonly #deps: EngineDeps;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  /** How long until the next look has a use. */
  nextLookMs(): number {
    return Math.max(0, longestSleepMs - (this.#deps.clock.monotonic() - this.#lookedAtMs));
  }

  /** Looks when it is time to; costs nothing otherwise. */
  async look(): Promise<void> {
    if (this.nextLookMs() > 0) return;
    const { store, clock } = this.#deps;
    this.#lookedAtMs = clock.monotonic();
    const { now, due } = await store.read(async (tx) => {
      const time = await tx.time();
      const found = await tx.ownedSecrets.due(time, batch);
      const open: OwnedSecret[] = [];
      for (const secret of found) {
        const environment = await tx.environments.get(secret.environmentId);
        const { status } = environment ?? { status: "destroyed" as const };
        if (isLiving({ status }) && status !== "destroying") open.push(secret);
      }
      return { now: time, due: open };
    });
    for (const secret of due) await this.#ask(secret, now);
  }

  /**
   * The same key is the same command: one a day for a version of a secret, one an hour for a certificate, which ends, so that
   * one whose run failed is asked for again.
   */
  async #ask(
    { environmentId, template, name, version, kind }: OwnedSecret,
    now: string,
  ): Promise<void> {
    const { log, requestRotation } = this.#deps;
    const what = groupKey(template, name);
    const span = now.slice(0, kind === "secret" ? "2026-01-01".length : "2026-01-01T00".length);
    try {
      await requestRotation({
        environmentId,
        secret: name,
        key: `rotation:${environmentId}:${what}:${version}:${span}`,
      });
    } catch (error) {
      log.warn(`A ${kind}'s time is over but no new one can be asked for`, {
        environmentId,
        secret: what,
        error,
      });
    }
  }
}
