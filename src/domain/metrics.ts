/**
 * Every metric that the product has. Instruments, types and docs/metrics.md come from this table; names follow Prometheus
 * (https://prometheus.io/docs/practices/naming/). A label takes few values that the product itself chose: never an id, nor a
 * name that a user gave. What a histogram's `_count` says has no counter of its own.
 */
export const metricTable = {
  glasshouse_commands_total: counter(
    ["type", "outcome"],
    "Commands that were answered: `accepted`, `repeated` (the same id again, which takes no effect), else the code of the refusal",
  ),
  glasshouse_queue_runs: gauge([], "", "Runs that wait in the queues of their environments"),
  glasshouse_queue_oldest_age_seconds: gauge(
    [],
    "seconds",
    "How long the oldest queued run has waited that no other run of its environment holds back; 0 when there is none",
  ),
  glasshouse_run_duration_seconds: histogram(
    ["kind", "outcome"],
    "Runs that ended here, from their start to their end: `succeeded`, `failed` or `cancelled`",
  ),
  glasshouse_step_duration_seconds: histogram(
    ["executor", "phase", "outcome"],
    "Steps that ended here, from their first start to their end, pauses between attempts counted in: `succeeded`, `skipped`, `failed`, `cancelled`",
  ),
  glasshouse_step_retries_total: counter(
    ["executor", "phase"],
    "Attempts of steps that ended with a failure that may pass: the step is tried again",
  ),
  glasshouse_steps_unknown_total: counter(
    ["executor", "phase"],
    "Steps whose outcome could not be found out: their runs wait for a person",
  ),
  glasshouse_claims_total: counter(
    ["executor"],
    "Steps that this process took on; more than steps ended means attempts that were repeated",
  ),
  glasshouse_steps_running: gauge(["executor"], "", "Steps that this process works on now"),
  glasshouse_checks_followed: gauge(
    ["kind"],
    "",
    "Checks of deployed environments that this process follows: `http`, `tcp`, `command`, `consul`",
  ),
  glasshouse_places: gauge([], "", "Steps that this process works on at most at once"),
  glasshouse_child_processes: gauge([], "", "Child processes of this process that run now"),
  glasshouse_stale_writes_total: counter(
    [],
    "Late writes that were refused because the step has another owner now; after a pause of a worker they are as it should be",
  ),
  glasshouse_events_total: counter(["type"], "Events that this process wrote to the journal"),
  glasshouse_journal_position: gauge([], "", "Newest position of the journal"),
  glasshouse_store_transaction_duration_seconds: histogram(
    ["kind", "outcome"],
    "Transactions of the store, waiting counted in, `read` or `write`: `ok`, `refused` (the product's own rules), `failed` (the store)",
  ),
  glasshouse_store_reruns_total: counter(
    ["kind"],
    "Transactions that were run again because they met another one",
  ),
  glasshouse_store_connections: gauge(
    ["state"],
    "",
    "Connections for transactions, with PostgreSQL alone: `used`, `free` up to store.pool, and how many `waiting` want one",
  ),
  glasshouse_certificates: gauge(
    [],
    "",
    "Certificates that environments own; every replica says the same",
  ),
  glasshouse_certificate_expiry_seconds: gauge(
    [],
    "seconds",
    "How long the certificate that expires next is still good, negative once it is over; none when there are no certificates",
    "Below what `renewBefore` leaves: its renewal fails; `env show` says which, `run list` why",
  ),
  glasshouse_tls_certificate_expiry_seconds: gauge(
    ["use"],
    "seconds",
    "How long the server's own certificate is still good, negative once it is over: `listen` (the one that is served), `store` (the one for PostgreSQL), `bus` (the one for the broker, where Vault issues it)",
    "Below a quarter of its time: it is not renewed; `/health` and `doctor` say why",
  ),
  glasshouse_tls_certificates_total: counter(
    ["use", "outcome"],
    "New certificates of the server's own: `taken`, or `refused` because they will not do, and then the one before goes on",
    "Any `refused`: `/health` and `doctor` say why",
  ),
  glasshouse_bus_received_total: counter(
    ["outcome"],
    "Messages of the command queue that this process decided on: `taken` (into the inbox, or refused with an answer), `parked` (laid with the dead letters), `returned` (back to the queue, to come again)",
    "`returned` that goes on: the store or the broker is away, see `/health`",
  ),
  glasshouse_bus_redelivered_total: counter(
    [],
    "Messages of the command queue that had been delivered before, here or elsewhere; each takes effect once all the same",
    "Now and then is a restart or a lost connection; all the time, look for servers that end, or a broker that drops connections",
  ),
  glasshouse_bus_sent_total: counter(
    ["message", "outcome"],
    "Messages to the bus, by its answer: `sent` (confirmed), `returned` (no such queue), `refused` (the queue is full), `unconfirmed` (no confirmation in time: sent again)",
    "`unconfirmed`: look at the broker. `returned` or `refused` replies: whoever asked is gone, or does not read",
  ),
  glasshouse_bus_outbox_events: gauge(
    [],
    "",
    "Events of the journal that the bus has not confirmed yet, with a broker alone; every replica says the same",
    "More and more: the broker is away or too slow; nothing is lost, and it is caught up when it is back",
  ),
  glasshouse_bus_queue_messages: gauge(
    ["queue"],
    "",
    "Messages that lie ready in a queue of the broker: `commands`, or `dead` for the dead letters; none while it does not answer",
    "`commands` that grow: start more replicas with the role api. `dead` above 0: mend the reason that each carries, then `glasshouse bus redrive`",
  ),
  glasshouse_lease_held: gauge(
    [],
    "",
    "1 while this worker may write: its lease holds; 0 while it does not. The sum over all replicas is how many work",
    "0 for longer than a few seconds: it does not reach the store, or was stopped; it holds what it knows and goes on by itself",
  ),
  glasshouse_lease_remaining_seconds: gauge(
    [],
    "seconds",
    "How long this worker's lease lasts if it is not renewed any more; none where holding the store itself is the lease",
    "Below half of what it usually is: renewals fail or are late; look at the store and at the way to it",
  ),
  glasshouse_lease_lapses_total: counter(
    [],
    "How often this worker's lease had ended, or may have, before it was renewed: what it ran was stopped",
    "The process was paused or cut off from the store for too long: give it more processor time, or mend the network",
  ),
  glasshouse_lease_renewals_failed_total: counter(
    [],
    "Renewals of this worker's lease that came to nothing, or of which it is not known; each is tried again soon",
    "It does not reach the store, or waits for it too long: while they go on, the lease runs out",
  ),
  glasshouse_leases_lost_total: counter(
    [],
    "How often this worker was taken for dead, and began anew under another id",
    "As for lapses; what it ran was looked at and taken over by others",
  ),
  glasshouse_http_request_duration_seconds: histogram(
    ["method", "route", "status"],
    "Requests of the REST API until their answer was sent; live events and followed logs are not among them",
  ),
  glasshouse_live_clients: gauge([], "", "Clients that follow the live events"),
  glasshouse_live_drops_total: counter(
    [],
    "Clients that were cut off because they read too slowly",
  ),
  glasshouse_remote_call_duration_seconds: histogram(
    ["remote", "outcome"],
    "Calls to something outside of the process, with their retries: `ok`, `failed`, `refused` (the breaker is open, nothing was sent), `answered` (an error that says nothing of the remote's health) or `cancelled`",
  ),
  glasshouse_remote_retries_total: counter(
    ["remote"],
    "Tries of such calls after the first one, which had failed for a reason that may pass",
  ),
  glasshouse_remote_breakers: gauge(
    ["remote", "state"],
    "",
    "Circuit breakers by state: `closed` is well, `open` lets nothing through, `half-open` lets one call through to see",
  ),
  glasshouse_event_loop_delay_seconds: gauge(
    ["quantile"],
    "seconds",
    "How late timers fire, since the metrics were last asked for: `0.5`, `0.99`, `1` (the latest). Measured from the first time on that they are",
  ),
  glasshouse_build_info: gauge(["version"], "", "1; the version is in the label"),
  process_cpu_seconds_total: counter([], "Processor time that this process took"),
  process_resident_memory_bytes: gauge([], "bytes", "Memory that this process holds"),
  process_start_time_seconds: gauge([], "seconds", "When this process started, since 1970"),
} as const satisfies Record<string, MetricRow>;

/** What the labels mean, by name: one meaning everywhere. */
export const metricLabels: Readonly<Record<string, string>> = {
  use: "Whom a certificate of the server's own is shown to: `listen` (its clients), `store` (PostgreSQL), `bus` (the broker)",
  executor: "who does the work: an executor's name, `check`, or `engine` for what needs none",
  kind: "kind of the run, of the transaction, or of the check",
  message: "what is sent: `event`, `reply`, `dead-letter`",
  method: "method of the request",
  outcome: "how it ended; each metric says which there are",
  phase: "what a step does: `apply`, `destroy`, `observe`, `plan`, `check`, `action`",
  queue: "queue of the broker",
  quantile: "share of the values that are at most this",
  remote:
    "what is called: `git` (all hosts of repositories together), `store`, `bus`, `consul`, `vault`",
  route: "path of the operation as in the API's description, `none` for one that it does not have",
  state: "each metric says which there are",
  status: "HTTP status of the answer",
  type: "type of the command or event, such as `environment.create`",
  version: "version of the program",
};

export interface MetricRow {
  readonly kind: "counter" | "histogram" | "gauge";
  /** Prometheus' base unit, the last word of the name; empty for a plain number. */
  readonly unit: "seconds" | "bytes" | "";
  readonly labels: readonly string[];
  /** For operators: what it says, without a full stop. */
  readonly meaning: string;
  /** For operators: what to do when it is not as it should be. */
  readonly advice?: string;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

export type MetricName = keyof typeof metricTable;
export type CounterName = NameOf<"counter">;
export type HistogramName = NameOf<"histogram">;
export type GaugeName = NameOf<"gauge">;

type NameOf<Kind extends MetricRow["kind"]> = {
  [Name in MetricName]: (typeof metricTable)[Name]["kind"] extends Kind ? Name : never;
}[MetricName];

/** Exactly the labels of the row. */
export type LabelsOf<Name extends MetricName> = Readonly<
  Record<(typeof metricTable)[Name]["labels"][number], string>
>;

/** From a millisecond to a quarter of an hour. */
function durationBuckets(): readonly number[] {
  return [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 900];
}

function counter<const Labels extends readonly string[]>(
  labels: Labels,
  meaning: string,
  advice = "",
) {
  return { kind: "counter", unit: "", labels, meaning, advice } as const;
}

function histogram<const Labels extends readonly string[]>(labels: Labels, meaning: string) {
  return {
    kind: "histogram",
    unit: "seconds",
    labels,
    meaning,
    buckets: durationBuckets(),
  } as const;
}

// eslint-disable-next-line max-params -- a row of the table, read from left to right
function gauge<const Labels extends readonly string[], const Unit extends MetricRow["unit"]>(
  labels: Labels,
  unit: Unit,
  meaning: string,
  advice = "",
) {
  return { kind: "gauge", unit, labels, meaning, advice } as const;
}
