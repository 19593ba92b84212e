import { GlasshouseError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Clock } from "../ports/clock.ts";
import type { ReadTx, Store, TransactOptions, Tx } from "../ports/store.ts";
import type { Metrics } from "../ports/telemetry.ts";
import { meterEvent } from "./event-metrics.ts";

interface Deps {
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, "monotonic">;
}

/**
 * A store that says what goes through it. What happened to runs and steps is read from the events that this process has
 * committed, so neither engine nor services count anything in a transaction, which may be run again or come to nothing.
 */
export function meterStore(store: Store, deps: Deps): Store {
  return {
    transact: (fn, how) => transact(store, deps, { fn, how }),
    read: (fn) => measured(deps, "read", (again) => store.read(once(fn, again))),
    search: (fn) => measured(deps, "read", (again) => store.search(once(fn, again))),
    watch: (topic, fn) => store.watch(topic, fn),
    health: () => store.health(),
    lease: (...given) => store.lease(...given),
    close: () => store.close(),
  };
}

async function transact<T>(
  store: Store,
  deps: Deps,
  { fn, how }: { readonly fn: (tx: Tx) => Promise<T>; readonly how: TransactOptions | undefined },
): Promise<T> {
  let appended: NewEvent[] = [];
  const result = await measured(deps, "write", (again) =>
    store.transact(
      once(async (tx) => {
        appended = [];
        return fn(listening(tx, appended));
      }, again),
      how,
    ),
  );
  for (const event of appended) meterEvent(deps.metrics, event);
  return result;
}

type Kind = "read" | "write";

async function measured<T>(
  { metrics, clock }: Deps,
  kind: Kind,
  run: (again: () => void) => Promise<T>,
): Promise<T> {
  const startedAtMs = clock.monotonic();
  let outcome = "ok";
  try {
    return await run(() => metrics.count("glasshouse_store_reruns_total", { kind }));
  } catch (error) {
    outcome = outcomeOf(error);
    if (error instanceof GlasshouseError && error.code === "stale-token")
      metrics.count("glasshouse_stale_writes_total", {});
    throw error;
  } finally {
    const tookSeconds = (clock.monotonic() - startedAtMs) / 1000;
    metrics.record("glasshouse_store_transaction_duration_seconds", tookSeconds, { kind, outcome });
  }
}

/** The product's own rules refuse within a transaction; a store that is down or full, or a fault, is something else. */
function outcomeOf(error: unknown): "refused" | "failed" {
  if (!(error instanceof GlasshouseError)) return "failed";
  return error.row.kind === "transient" || error.code === "internal" ? "failed" : "refused";
}

/** Tells when `fn` is run for the second time and on. */
function once<A, T>(fn: (of: A) => Promise<T>, again: () => void): (of: A) => Promise<T> {
  let runs = 0;
  return (of) => {
    runs += 1;
    if (runs > 1) again();
    return fn(of);
  };
}

/** The same transaction, with an ear on its events. Repositories are made when they are asked for, so nothing is copied. */
function listening(tx: Tx, appended: NewEvent[]): Tx {
  const events: Tx["events"] = {
    append: (added, time) => {
      appended.push(...added);
      return tx.events.append(added, time);
    },
    after: (position, filter) => tx.events.after(position, filter),
    head: () => tx.events.head(),
    oldest: () => tx.events.oldest(),
  };
  return new Proxy(tx, {
    get: (target, name) => (name === "events" ? events : Reflect.get(target, name, target)),
  });
}

/** What the queue and the journal look like, for whoever asks for metrics. */
export function observeStore(
  store: Pick<Store, "read">,
  { metrics, clock }: { readonly metrics: Metrics; readonly clock: Pick<Clock, "now"> },
): void {
  const reading = (fn: (tx: ReadTx) => Promise<number>) => async () => [
    { value: await store.read(fn), labels: {} },
  ];
  metrics.observe(
    "glasshouse_queue_runs",
    reading((tx) => tx.runs.countQueued()),
  );
  metrics.observe(
    "glasshouse_queue_oldest_age_seconds",
    reading(async (tx) => {
      const [oldest] = await tx.runs.startable(1);
      return oldest === undefined
        ? 0
        : Math.max(0, (clock.now() - Date.parse(oldest.createdAt)) / 1000);
    }),
  );
  metrics.observe(
    "glasshouse_certificates",
    reading(async (tx) => (await tx.ownedSecrets.certificateEnds()).count),
  );
  metrics.observe("glasshouse_certificate_expiry_seconds", async () => {
    const { soonest } = await store.read((tx) => tx.ownedSecrets.certificateEnds());
    return soonest === null
      ? []
      : [{ value: (Date.parse(soonest) - clock.now()) / 1000, labels: {} }];
  });
  metrics.observe(
    "glasshouse_journal_position",
    reading((tx) => tx.events.head()),
  );
}
