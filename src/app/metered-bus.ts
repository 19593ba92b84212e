import type { KeptCertificate } from "../clients/vault/kept-certificate.ts";
import type { Clock } from "../ports/clock.ts";
import type { Metrics } from "../ports/telemetry.ts";
import { eventsBehind, type BusDeps } from "../services/bus.ts";

/** What waits to go out and to come in, for whoever asks for metrics. Nothing where there is no broker. */
export function observeBus(
  deps: Pick<BusDeps, "bus" | "store">,
  metrics: Pick<Metrics, "observe">,
): void {
  if (deps.bus.kind === "embedded") return;
  metrics.observe("glasshouse_bus_outbox_events", async () => {
    const behind = await eventsBehind(deps);
    return behind === null ? [] : [{ value: behind, labels: {} }];
  });
  metrics.observe("glasshouse_bus_queue_messages", async () => {
    const { commands, dead } = await deps.bus.status();
    return [
      ...(commands === null ? [] : [{ value: commands, labels: { queue: "commands" } }]),
      ...(dead === null ? [] : [{ value: dead, labels: { queue: "dead" } }]),
    ];
  });
}

/** How long the certificate is good that Vault has issued for the broker. */
export function observeIssued(
  certificate: Pick<KeptCertificate, "endsAtMs">,
  { metrics, clock }: { readonly metrics: Metrics; readonly clock: Pick<Clock, "now"> },
): void {
  metrics.observe("glasshouse_tls_certificate_expiry_seconds", () => {
    const { endsAtMs } = certificate;
    if (endsAtMs === null) return [];
    return [{ value: (endsAtMs - clock.now()) / 1_000, labels: { use: "bus" } }];
  });
}
