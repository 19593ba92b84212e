import type { EnvironmentView, RunView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { heading, joined, oneLine, printData, printFacts } from "./output.ts";
import { needsSomebody, plainReason, waysOn } from "./run-model.ts";
import { moment, painter, safe, type Style } from "./text.ts";

/** The colour of a status of an environment, run, step or resource. */
export function statusStyle(status: string): Style | null {
  if (/^(?:deployed-ok|succeeded|present|passing|active|ok|up|ready)$/u.test(status))
    return "green";
  if (/failed|failing|down|missing/u.test(status)) return "red";
  if (/ing$|waiting|queued|unknown|drifted|degraded|draft/u.test(status)) return "yellow";
  if (/^(?:destroyed|skipped|cancelled|superseded|deprecated|removed)$/u.test(status)) return "dim";
  return null;
}

/**
 * Prints one environment: the answer of the API, its name, or what people want to know of it, with why its active run waits
 * when that is given.
 */
export function printEnvironment(
  call: Call,
  environment: EnvironmentView,
  run: RunView | null = null,
): void {
  if (printData(call, environment)) return;
  if (call.format === "name") {
    call.terminal.out(`${environment.name}\n`);
    return;
  }
  const paint = painter(call.terminal, "out");
  const style = statusStyle(environment.status);
  const status = style === null ? environment.status : paint(style, environment.status);
  const reason = environment.reason === null ? "" : `  ${safe(plainReason(environment.reason))}`;
  call.terminal.out(`${paint("bold", environment.name)}  ${status}${reason}\n`);
  printFacts(call, [
    ["id", environment.id],
    ["description", environment.description],
    ["template", environment.templates.map((use) => `${use.name}@${use.version}`).join(", ")],
    ["parameters", joined(environment.parameters)],
    ["tags", joined(environment.tags)],
    ["created", moment(environment.createdAt)],
    ["destruction", moment(environment.plannedDestructionAt)],
    ["destroyed", moment(environment.destroyedAt)],
    ["running", run === null ? environment.activeRun : `${run.id}  ${run.kind} ${run.status}`],
    ["waits for", waitsFor(environment, run)],
    ["outdated", environment.outdated ? "what it requires has changed since" : null],
    ["drifted", environment.drifted ? "yes; `env drift` says what" : null],
  ]);
  printNamed(
    call,
    "Secrets",
    environment.secrets.map((secret) => [secret.name, secretFacts(secret)]),
  );
  printNamed(
    call,
    "Certificates",
    environment.certificates.map((one) => [one.name, certificateFacts(one)]),
  );
  printNamed(
    call,
    "Outputs",
    Object.entries(environment.outputs).map(([name, value]) => [name, oneLine(value)]),
  );
  printNamed(
    call,
    "Entrypoints",
    Object.entries(environment.entrypoints).map(([name, { url, description }]) => [
      name,
      description === "" ? url : `${url}  ${description}`,
    ]),
  );
  if (run !== null && needsSomebody(run)) call.terminal.err(`${waysOn(run)}\n`);
}

/** Which version since when; the value is shown nowhere. */
function secretFacts({
  version,
  rotatedAt,
  rotateAt,
  keeper,
}: EnvironmentView["secrets"][number]): string {
  const next = rotateAt === null ? "" : `, the next one ${moment(rotateAt)}`;
  return `version ${version} of ${moment(rotatedAt)}, kept in the ${keeper} store${next}`;
}

/** Whom it is for and until when; its key is shown nowhere. */
function certificateFacts(one: EnvironmentView["certificates"][number]): string {
  const { commonName, version, keeper, notAfter, renewAt } = one;
  const next = renewAt === null ? "" : `, the next one ${moment(renewAt)}`;
  return `${commonName}, version ${version}, good until ${moment(notAfter)}${next}, issued by the ${keeper} authority`;
}

/** The run's reason, unless it stands beside the status already. */
function waitsFor({ reason }: EnvironmentView, run: RunView | null): string | null {
  if (run === null || run.reason === null || run.reason === reason) return null;
  return plainReason(run.reason);
}

function printNamed(
  call: Call,
  title: string,
  facts: readonly (readonly [string, string])[],
): void {
  if (facts.length === 0) return;
  heading(call, title);
  printFacts(call, facts);
}
