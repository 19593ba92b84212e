import type { HealthView } from "../contract/rest.ts";
import type { CertificateInUse, CertificateStatus } from "./certificate-in-use.ts";

type Dependency = HealthView["dependencies"][number];

/** How a certificate of the server's own stands: with its time, and with the one that should have taken its place. */
export function certificateHealth(
  name: string,
  certificate: Pick<CertificateInUse, "status">,
): Dependency {
  const status = certificate.status();
  const shown = { name, latencyMs: null, breaker: null };
  const detail = [certificateText(status), status.problem]
    .filter((text) => text !== null)
    .join("; ");
  if (status.problem === null && status.time === "good")
    return { ...shown, status: "up", detail, advice: null };
  return { ...shown, status: wordOf(status), detail, advice: certificateAdvice };
}

export const certificateAdvice =
  "Put a certificate and its key in place that will do, or look at Vault and the role that issues them: the server takes them by itself. `glasshouse doctor` says what is wrong with those that are there.";

/** What it is for and how long it is good, for people. */
export function certificateText({
  names,
  time,
  beginsAtMs,
  endsAtMs,
}: Pick<CertificateStatus, "names" | "time" | "beginsAtMs" | "endsAtMs">): string {
  const begins = new Date(beginsAtMs).toISOString();
  const ends = new Date(endsAtMs).toISOString();
  switch (time) {
    case "good":
      return `for ${names}, good until ${ends}`;
    case "late":
      return `for ${names}, ends soon: on ${ends}`;
    case "over":
      return `for ${names}, ended on ${ends}`;
    case "early":
      return `for ${names}, not good before ${begins}`;
  }
}

function wordOf({ time }: CertificateStatus): string {
  if (time === "over" || time === "early") return "down";
  return time === "late" ? "ends soon" : "not replaced";
}
