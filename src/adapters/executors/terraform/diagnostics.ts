import type { ErrorCode, ErrorDetail } from "../../../domain/errors.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Diagnostic } from "./events.ts";

/**
 * What Terraform complained about, as one error. Its code decides about another try:
 * - a network, a registry, a lock, throttling, 5xx: `unavailable`, transient;
 * - a saved plan that no longer fits: `plan-stale`;
 * - a host of modules that wants a login: `step-failed`, terminal, until the operator grants one;
 * - a mistake in the configuration or its variables, and a provisioner's command that failed: `step-failed`, terminal;
 * - any other word of a provider about an object: `provider-failed`, transient, so tried a bounded number of times.
 *   Providers give no machine-readable class, and an unknown failure is more often a passing one than a lasting one.
 */
export function errorFrom(facts: {
  readonly diagnostics: readonly Diagnostic[];
  /** What was done, for people: `terraform apply of group network`. */
  readonly doing: string;
  /** Words outside the event stream, when there is no diagnostic. */
  readonly text: string;
  readonly redact: (text: string) => string;
}): GlasshouseError {
  const errors = facts.diagnostics.filter(({ severity }) => severity === "error");
  const texts = errors.map((item) => facts.redact(diagnosticText(item)));
  const code = codeOf(errors, facts.text);
  const shown =
    texts.length > 0 ? texts : [facts.redact(facts.text.trim()) || "no reason was given"];
  const first = shown[0] ?? "";
  const more = shown.length > 1 ? ` (and ${shown.length - 1} more)` : "";
  const advice =
    errors.length === 0 && wantsLogin(facts.text)
      ? " Its host wants a login: the operator grants one with executors.terraform.hosts."
      : "";
  return new GlasshouseError(
    code,
    `${bounded(`${facts.doing} failed: ${first}${more}`)}${advice}`,
    {
      details: errors.slice(0, 20).map((item) => detailOf(item, facts.redact)),
    },
  );
}

/** `Error summary: detail (main.tf:3:5, aws_instance.x)`. */
export function diagnosticText({ summary, detail, address, range }: Diagnostic): string {
  const places = [range && placeOf(range), address].filter((place) => place !== undefined);
  const where = places.length > 0 ? ` (${places.join(", ")})` : "";
  const said = detail === undefined || detail === "" ? "" : `: ${detail.trim()}`;
  return `${summary}${said}${where}`;
}

/** Messages that a fresh `init` mends: the folder was filled for something else, or somebody emptied it. */
export function asksForInit(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(
    ({ severity, summary, detail }) =>
      severity === "error" &&
      /module not installed|required plugins are not installed|inconsistent dependency lock file|missing required provider|could not load plugin|failed to load plugin schemas|(?:backend|terraform) initialization required|module source has changed|unreadable module directory|please run .?(?:terraform|tofu) init/iu.test(
        `${summary} ${detail ?? ""}`,
      ),
  );
}

/**
 * A provider that died while it changed something (killed, out of memory, a panic): Terraform ends in order, and knows as
 * little as anybody whether what it had asked for came to be. The diagnostics do not say of which object. Which of three texts
 * is written depends on what is noticed first, the end of the connection or that of the process: "failed to respond to the … call",
 * "The … request was cancelled", "unexpected error from …" (Terraform 1.11, internal/plugin6/grpc_error.go). All name the call.
 */
export function leavesUnanswered(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(
    ({ severity, detail }) =>
      severity === "error" && /\(\*GRPCProvider\)\.ApplyResourceChange\b/u.test(detail ?? ""),
  );
}

const passing =
  /acquiring the state lock|connection (?:refused|reset|closed)|no such host|(?:i\/o|handshake|awaiting headers|dial|read|write|operation|connection|gateway|request)[ -]?time(?:d )?-?out|timeout while waiting|context deadline exceeded|temporary failure in name resolution|network is unreachable|no route to host|unexpected eof|broken pipe|too many requests|rate.?(?:limit|exceeded)|throttl|slow ?down|requestlimitexceeded|service ?unavailable|internal server error|bad gateway|temporarily unavailable|server is busy|try again later|(?:status(?: code)?|http(?:\/\d(?:\.\d)?)?|error)[ :=]+(?:429|5\d\d)|could not (?:connect|query provider registry|download)|failed to query available provider packages|failed to (?:request discovery document|download module|retrieve)/iu;

/** Words of git and of registries, however they are wrapped. */
function wantsLogin(text: string): boolean {
  return /could not read (?:username|password) for|authentication failed for|terminal prompts disabled|access denied|error looking up module versions: 40[13]|40[13] (?:unauthorized|forbidden)/iu.test(
    text.replaceAll(/[\s│]+/gu, " "),
  );
}

function codeOf(errors: readonly Diagnostic[], text: string): ErrorCode {
  if (errors.some(({ summary }) => /plan is stale|stale plan/iu.test(summary))) return "plan-stale";
  if (errors.length === 0 && wantsLogin(text)) return "step-failed";
  if (errors.length === 0) return passing.test(text) ? "unavailable" : "step-failed";
  const codes = errors.map((item) => codeOfOne(item));
  // One lasting mistake makes another try pointless, whatever else went wrong beside it.
  for (const code of ["step-failed", "provider-failed"] as const) {
    if (codes.includes(code)) return code;
  }
  return "unavailable";
}

function codeOfOne({ summary, detail, address }: Diagnostic): ErrorCode {
  if (/provisioner error/iu.test(summary)) return "step-failed";
  if (passing.test(`${summary}: ${detail ?? ""}`)) return "unavailable";
  if (address === undefined || mistakes.test(summary)) return "step-failed";
  return "provider-failed";
}

/** Checked by Terraform itself against the configuration; they carry an address too. */
const mistakes =
  /^(?:unsupported|invalid|missing|incorrect|unknown|duplicate|reference to|resource (?:pre|post)condition|conflicting|value for|call to|error in function|insufficient|cycle|instance cannot be destroyed|no value for|variable validation|check block|self-referenc)/iu;

function detailOf(item: Diagnostic, redact: (text: string) => string): ErrorDetail {
  return {
    message: bounded(redact(diagnosticText(item))),
    ...(item.range === undefined ? {} : { place: placeOf(item.range) }),
  };
}

function placeOf(range: NonNullable<Diagnostic["range"]>): string {
  return `${range.filename}:${range.start.line}:${range.start.column}`;
}

function bounded(text: string): string {
  return text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
}
