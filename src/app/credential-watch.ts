import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/telemetry.ts";

/** Files of credentials are looked at so often. Their content is compared: what mounts secrets swaps links. */
const lookEveryMs = 2_000;

/**
 * Calls `changed` when what `read` gives is another than before: soon after a file was changed, and at once on SIGHUP. A read that
 * fails (a file that is being replaced) is tried again. Returns a function that ends it.
 */
export function watchCredentials(of: {
  readonly read: () => Promise<unknown>;
  readonly changed: () => void;
  readonly clock: Clock;
  readonly log: Log;
}): () => void {
  const { read, changed, clock, log } = of;
  let known: string | null = null;
  let isEnded = false;
  let forget: (() => void) | null = null;
  const look = async (): Promise<void> => {
    try {
      const now = JSON.stringify(await read());
      if (known !== null && now !== known && !isEnded) changed();
      known = now;
    } catch (error) {
      log.debug("Credentials cannot be read now", { error });
    }
  };
  const lookAndWait = async (): Promise<void> => {
    await look();
    if (!isEnded) forget = clock.after(lookEveryMs, () => void lookAndWait());
  };
  const hangup = (): void => void look();
  process.on("SIGHUP", hangup);
  void lookAndWait();
  return () => {
    isEnded = true;
    forget?.();
    process.off("SIGHUP", hangup);
  };
}
